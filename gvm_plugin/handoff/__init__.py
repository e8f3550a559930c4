"""A scored film for other editors: timelines, cue files with time stamps, cue sheet for broadcasters.

In order of dependency:

    timecode          frame rates and SMPTE timecode, exact
    source            what an editor needs to know of the film: rate, start timecode
    timeline_doc      the edit, in frames, as no format in particular
    broadcast_wave    time stamps in WAV files
    cue_files         takes as WAV files that begin on a frame of the film
    build             sheet, mix and film -> the edit
    otio              the edit as OpenTimelineIO
    fcpxml            as FCPXML: Final Cut Pro, DaVinci Resolve
    xmeml             as XMEML: Premiere Pro, DaVinci Resolve
    edl               as CMX 3600 lists
    cue_list          cue sheet for broadcasters: CSV, HTML
    export            SPINE: what was asked for, into a folder
"""
