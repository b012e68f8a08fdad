"""What the wheel ``slicer-core`` lacks of Slicer's Python, on PyQt5: enough to load a module, click it and see it.

These stand in for PythonQt, CTK, qMRML, ``slicer.ScriptedLoadableModule``, ``slicer.parameterNodeWrapper``,
``SampleData`` and the module manager. They imitate the calling style of the originals and refuse what these would
refuse; MRML, the scene and ``slicer.util`` are Slicer's own.
"""
