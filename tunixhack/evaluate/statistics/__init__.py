"""All statistics of evaluations, without input or output: arrays in, frozen dataclasses out.

``intervals`` has the one interval, ``sign_flips`` the exact test, ``trainings`` what repeated trainings add,
``contrasts`` slopes and means over tasks, ``power`` the smallest difference that can be told, and ``verdicts`` the
words.
"""
