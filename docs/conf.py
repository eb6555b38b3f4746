"""How Sphinx builds the pages. ``tox -e docs`` calls it; the package has to be installed."""

import django
from django.conf import settings

# For the reference of the Python API, which is read from the docstrings.
settings.configure(
    SECRET_KEY="docs",
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "cronkite"],
)
django.setup()

import cronkite  # noqa: E402 - the app can't be loaded before

project = "django-cronkite"
author = "django-cronkite contributors"
copyright = author  # noqa: A001 - Sphinx's name for it
version = release = cronkite.__version__

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
default_role = None

html_theme = "furo"
html_title = f"{project} {version}"
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
# Docstrings name what other packages define, and what of this one is nobody's business but its own.
nitpick_ignore_regex = [
    (r"py:.*", r"(django|datetime|collections|types|typing|fnmatch)(\..*)?"),
    (r"py:mod", r"cronkite\..*"),
    (r"py:class", r"ValidationError|(.*\.)?(CatchUp|Named|Standing|T)"),
]


def find_by_last_name(app, env, node, content):
    """Have what a docstring calls by its last name, or by where it is defined, lead to where it is described."""
    described = env.get_domain("py").objects
    named = node.get("reftarget", "").rpartition(".")[2]
    found = [name for name in described if node["refdomain"] == "py" and name.rpartition(".")[2] == named]
    if len(found) != 1:
        return None
    page = node.get("refdoc", env.config.root_doc)
    return env.get_domain("py").resolve_xref(env, page, app.builder, node["reftype"], found[0], node, content)


def setup(app):
    """Called by Sphinx."""
    app.connect("missing-reference", find_by_last_name)
