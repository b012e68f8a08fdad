"""Where the atlas of the fissures comes from: offline code that derives the file which the library ships."""
