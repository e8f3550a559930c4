"""`gvm evaluate`: does this music fit this film, and which of several systems writes the music that fits best.

The modules, each importing only from those above it:

    own          files that a command may replace: those that gvm wrote
    material     films and music files -> what was seen and heard, in a common form
    statistics   means with bootstrap intervals, paired differences, shares
    systems      which file in a folder of music belongs to which film
    metrics      the columns of a comparison
    resemblance  FAD and KLD against the films' real music
    fit          SPINE of `gvm evaluate fit`: one film, one piece of music
    compare      SPINE of `gvm evaluate compare`: many films, many systems
    tables       a comparison or a fit as text: terminal, Markdown, CSV, JSON
    page         the same as a page with players
    listening_orders, listening_sound    balanced orders; excerpts at one loudness
    listening    SPINE of `gvm evaluate listening-test`: a page that works from a file, and its key
    listening_answers, listening_results    SPINE of `gvm evaluate listening-results`: answers -> means with intervals
    pitch, figures    a tune's contour; SPINE of `gvm evaluate figures`
"""
