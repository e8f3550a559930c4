"""`gvm dataset`: films -> aligned pairs of picture and music, to train on. Importing this imports nothing heavy.

The modules, each importing only from those above it:

    options          every default, once; what a source is
    text_overlay     how much text lies over a picture
    fingerprints     is a film another one under a new name
    kinds            the type of a film, guessed
    labels           what people say of films
    spans            which stretches become pairs
    split            which side a film lies on
    clips, tensors   one span into files; the published code's frame tensors into clips
    codes            cached codec codes
    watching         one pass over a film
    record           what is kept of each film
    film             one film into pairs
    readers          folders of others' data sets -> sources
    page             the summary
    build            SPINE
"""
