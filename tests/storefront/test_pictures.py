"""Pictures: every model can be drawn, and a picture's address changes with the picture."""

from __future__ import annotations

from dataclasses import replace

from app.catalog.documents import model_of
from app.catalog.range.loading import load_range
from app.storefront.pictures import Pictures, subject_of_body, subject_of_model
from app.storefront.vocabulary import BODIES

MODELS = [model_of(sheet) for sheet in load_range().models]


def test_every_model_of_the_range_is_drawn_in_its_own_form() -> None:
    subjects = [subject_of_model(model) for model in MODELS]

    assert [subject.slug for subject in subjects] == [model.model_id for model in MODELS]
    assert len({subject.shape for subject in subjects}) == len(MODELS)


def test_a_form_that_cannot_be_drawn_gets_its_body_styles_plain_one() -> None:
    odd = MODELS[0].model_copy(update={"length_mm": 99})

    assert subject_of_model(odd) == subject_of_body(odd.body)


def test_every_body_style_has_a_plain_form() -> None:
    pictures = Pictures()

    drawn = [pictures.svg(subject_of_body(body), "#1f3d2b", to_scale=False) for body in BODIES]

    assert len(set(drawn)) == len(BODIES)
    assert all(svg.startswith(b"<svg") and b"style=" not in svg for svg in drawn)


def test_another_form_has_another_address() -> None:
    subject = subject_of_model(MODELS[0])
    longer = replace(subject, shape=replace(subject.shape, nose_length=0.99))

    assert subject.url("#1f3d2b") != longer.url("#1f3d2b")
    assert subject.url("#1F3D2B") == subject.url("#1f3d2b")


def test_an_unknown_paint_is_primer() -> None:
    subject = subject_of_model(MODELS[0])

    assert subject.url(None) == subject.url("javascript:alert(1)")
    assert subject.url(None).endswith("-8d949a.svg")
