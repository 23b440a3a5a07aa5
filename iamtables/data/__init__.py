"""Data files shipped with the package: facts about AWS services, dated, with their sources."""
