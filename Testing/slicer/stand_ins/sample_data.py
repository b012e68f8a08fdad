"""Stands in for the module ``SampleData``: what it registers, and what a click on one of its buttons does."""

from __future__ import annotations

import slicer


class SampleDataSource:
    """A set of sample data: every list has an entry a file."""

    def __init__(
        self,
        sampleName=None,
        sampleDescription=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        checksums=None,
        loadFiles=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType=None,
        loadFileProperties=None,
    ):
        self.sampleName = sampleName
        self.sampleDescription = sampleDescription or sampleName
        self.customDownloader = customDownloader
        self.thumbnailFileName = thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}
        fields = {"uris": uris, "fileNames": fileNames, "nodeNames": nodeNames, "loadFiles": loadFiles}
        fields |= {"checksums": checksums, "loadFileType": loadFileType}
        for name, value in fields.items():
            setattr(self, name, _a_list(value, uris))
        lengths = {name: len(getattr(self, name)) for name in fields}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"All fields of sample data source must have the same length: {lengths}")

    def __eq__(self, other):
        return vars(self) == vars(other)

    __hash__ = None


def _a_list(value, uris):
    if isinstance(uris, str):
        return [value]
    return [value] * len(uris) if value is None or isinstance(value, str) else list(value)


class SampleDataLogic:
    """The dictionary ``slicer.modules.sampleDataSources`` by category."""

    @staticmethod
    def registerCustomSampleDataSource(category="Custom", sampleName=None, loadFileType="VolumeFile", **fields):
        sources = SampleDataLogic.sampleDataSourcesByCategory().setdefault(category, [])
        source = SampleDataSource(sampleName=sampleName, loadFileType=loadFileType, **fields)
        if source not in sources:
            sources.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        known = slicer.modules.sampleDataSources
        return known if category is None else known.get(category, [])

    def sourceForSampleName(self, sampleName):
        every = (source for sources in self.sampleDataSourcesByCategory().values() for source in sources)
        return next((source for source in every if source.sampleName == sampleName), None)


def click(sample_name):
    """What the button of a sample with a downloader of its own does."""
    source = SampleDataLogic().sourceForSampleName(sample_name)
    return source.customDownloader(source)
