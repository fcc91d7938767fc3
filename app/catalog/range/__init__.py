"""The shipped range of Ellevar: models, paints, options, markets, dealers and their stock feeds.

Data lives in TOML beside the code that reads and checks it. Pure: standard library only.
"""
