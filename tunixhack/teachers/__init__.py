"""Who answers, how it is asked, and where its answers are kept."""
