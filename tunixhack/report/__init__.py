"""The report of a run: one HTML file that is read in a browser, without a network."""
