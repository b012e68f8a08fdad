"""What the CovidSeverity module of 3D Slicer is made of: Qt and MRML around CovidSeverityLib, no image analysis."""
