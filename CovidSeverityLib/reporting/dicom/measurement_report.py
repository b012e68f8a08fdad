"""The numbers of an analysis as a Comprehensive 3D SR with measurement groups (TID 1500)."""

from __future__ import annotations

import highdicom as hd
from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom import Dataset

from CovidSeverityLib.findings import Findings

from . import codes
from .figures import Figure, FigureGroup, figure_groups
from .identity import EQUIPMENT, MEASUREMENTS, Identity, uid_of
from .segmentation_object import tracking_of
from .segments import Part, Segment

BOTH_LUNGS = "both lungs"
"""Tracking identifier of the group without a segment."""


def build_measurements(
    analysis: Findings, identity: Identity, segmentation: Dataset, segments: tuple[Segment, ...]
) -> sr.Comprehensive3DSR:
    """The report of an analysis, which refers to the segments of its Segmentation.

    Parameters
    ----------
    analysis : Findings
        The result.
    identity : Identity
        Identifiers and source images.
    segmentation : Dataset
        The Segmentation.
    segments : tuple of Segment
        Its segments in their order.
    """
    groups = [
        _of_both_lungs(analysis, identity, group)
        if group.part is None
        else _of_segment(analysis, identity, segmentation, group, *_numbered(segments, group.part))
        for group in figure_groups(analysis)
    ]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_device(identity)),
        procedure_reported=codes.CHEST_CT,
        imaging_measurements=groups,
    )
    return sr.Comprehensive3DSR(
        evidence=[*identity.images, segmentation],
        content=content[0],
        is_complete=True,
        coding_schemes=[_private_scheme()],
        **identity.series(MEASUREMENTS),
    )


def _numbered(segments: tuple[Segment, ...], part: Part) -> tuple[int, Segment]:
    """Number and segment of a part. (Labels of lungs, lobes and opacities are equal as numbers.)"""
    return next((number, segment) for number, segment in enumerate(segments, start=1) if segment.part is part)


def _private_scheme() -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(
        designator=codes.PRIVATE_SCHEME,
        name=codes.PRIVATE_SCHEME_NAME,
        version=codes.PRIVATE_SCHEME_VERSION,
        responsible_organization=EQUIPMENT,
    )


def _device(identity: Identity) -> sr.ObserverContext:
    attributes = sr.DeviceObserverIdentifyingAttributes(
        uid=uid_of(f"{EQUIPMENT} {identity.version}"),
        name=EQUIPMENT,
        manufacturer_name=EQUIPMENT,
        model_name=EQUIPMENT,
        serial_number=identity.version,
    )
    return sr.ObserverContext(
        observer_type=hd.sr.CodedConcept("121007", "DCM", "Device"), observer_identifying_attributes=attributes
    )


def _algorithm(analysis: Findings, identity: Identity) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=EQUIPMENT, version=identity.version, parameters=[f"profile={analysis.provenance.profile}"]
    )


def _of_both_lungs(
    analysis: Findings, identity: Identity, group: FigureGroup
) -> sr.MeasurementsAndQualitativeEvaluations:
    severity = [] if group.severity is None else [sr.QualitativeEvaluation(codes.SEVERITY, group.severity)]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(identity.uid(f"tracking {BOTH_LUNGS}"), BOTH_LUNGS),
        finding_category=codes.ANATOMICAL_STRUCTURE,
        finding_type=codes.LUNG,
        finding_sites=[sr.FindingSite(codes.LUNG, codes.BILATERAL)],
        algorithm_id=_algorithm(analysis, identity),
        measurements=[_measurement(figure) for figure in group.figures],
        qualitative_evaluations=severity,
    )


def _of_segment(
    analysis: Findings, identity: Identity, segmentation: Dataset, group: FigureGroup, number: int, segment: Segment
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    tracking_id, tracking_uid = tracking_of(identity, segment)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(tracking_uid, tracking_id),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_series=sr.SourceSeriesForSegmentation(str(identity.first.SeriesInstanceUID)),
        ),
        finding_category=segment.category,
        finding_type=segment.kind,
        finding_sites=[sr.FindingSite(*segment.site)],
        algorithm_id=_algorithm(analysis, identity),
        measurements=[_measurement(figure) for figure in group.figures],
    )


def _measurement(figure: Figure) -> sr.Measurement:
    found = sr.Measurement(
        name=figure.concept,
        value=figure.value,
        unit=figure.unit,
        derivation=figure.derivation,
        properties=None if figure.ends is None else _uncertainty(figure, *figure.ends),
    )
    if isinstance(figure.value, int):
        _make_whole(found[0])
    return found


def _make_whole(item: Dataset) -> None:
    """Write a score and its uncertainties as whole numbers: highdicom writes 4 as 4.0."""
    for part in (item, *item.get("ContentSequence", ())):
        if "MeasuredValueSequence" in part:
            value = part.MeasuredValueSequence[0]
            value.NumericValue = str(int(value.NumericValue))  # pydicom keeps how a text was written


def _uncertainty(figure: Figure, low: float, high: float) -> sr.MeasurementProperties:
    """How far the value may lie higher and lower (TID 310), in its own unit."""
    found = sr.MeasurementProperties(
        upper_measurement_uncertainty=round(high - figure.value, 6),
        lower_measurement_uncertainty=round(figure.value - low, 6),
    )
    for item in found:
        value = item.MeasuredValueSequence[0]
        value.MeasurementUnitsCodeSequence = [sr.CodedConcept.from_code(figure.unit)]
    return found
