"""The steps in order: a model becomes a file, the file an INT8 file, the files a profile.

Each step is one function here, one verb on the command line and one section of a recipe.
"""
