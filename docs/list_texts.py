"""Writes CovidSeverityLib/reporting/html/locale/report.pot, the texts of report.html for translators.

    python docs/list_texts.py

A translator copies the file to LANGUAGE/LC_MESSAGES/report.po in the same folder, translates it with any editor for
gettext files, and compiles it with ``msgfmt report.po -o report.mo``.
"""

from __future__ import annotations

from pathlib import Path

from CovidSeverityLib.reporting.html.page import environment
from CovidSeverityLib.reporting.html.texts import DOMAIN, FOLDER, LIBRARY_TEXTS, translations

PAGE = FOLDER / f"{DOMAIN}.pot"
TEMPLATES = Path("CovidSeverityLib/reporting/html/templates")
HEADER = """# Texts of report.html. Written by docs/list_texts.py.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Language: \\n"
"""


def texts() -> dict[str, set[str]]:
    """Every text, and where it is: in templates, or in the library."""
    jinja = environment(translations())
    found: dict[str, set[str]] = {}
    for name in sorted(jinja.list_templates()):
        source = jinja.loader.get_source(jinja, name)[0]  # type: ignore[union-attr]
        for _, _, message in jinja.extract_translations(source):
            text = message[0] if isinstance(message, tuple) else message
            found.setdefault(str(text), set()).add(f"{TEMPLATES.as_posix()}/{name}")
    for text in LIBRARY_TEXTS:
        found.setdefault(text, set()).add("CovidSeverityLib/reporting/html/texts.py")
    return found


def page() -> str:
    """The content of the file."""
    parts = [HEADER]
    for text, places in texts().items():
        flag = "#, python-format\n" if "%(" in text or "%%" in text else ""
        parts.append(
            "".join(f"#: {place}\n" for place in sorted(places)) + f'{flag}msgid "{_escaped(text)}"\nmsgstr ""\n'
        )
    return "\n".join(parts)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
