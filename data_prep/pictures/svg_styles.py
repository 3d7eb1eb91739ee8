"""Style sheets of an SVG, written into the `style` of each element, because the renderer knows only part of CSS.

It knows neither `:root` nor variables, neither media queries nor the colours of CSS 4, and draws black instead.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import cssselect2
import tinycss2
import tinycss2.color5

from data_prep.pictures import svg_media

# What the renderer does not know, or knows only with commas; sizes, which it does not read from `style`, come next.
_NEEDS_INLINING = re.compile(
    r"(?i)\b(?:var|hsla?|hwb|lab|lch|oklab|oklch|color|color-mix|light-dark|device-cmyk|calc|env|min|max|clamp)\("
    r"|\brgba?\([^,)]*\)"
)
_SIZE_IN_STYLE = re.compile(r"(?:^|;)\s*(?:x|y|width|height|cx|cy|r|rx|ry|d)\s*:")
_SIZES = {"x", "y", "width", "height", "cx", "cy", "r", "rx", "ry"}
_COLOURS = {"fill", "stroke", "color", "stop-color", "flood-color", "lighting-color"}
_COLOUR_FUNCTION = re.compile(r"(?i)(?!url\()[\w-]+\(.*\)$", re.DOTALL)
_ARITHMETIC = re.compile(r"(?i)\b(?:calc|env|min|max|clamp)\(")
_NO_CSS = re.compile(r"id$|class$|href$|data-|aria-|on[a-z]")  # attributes that hold no values of CSS
_MAX_VALUE = 1 << 16  # characters of a value after its variables are replaced
# At-rules that change no picture: fonts are never loaded, and of an animation the first moment is drawn.
_WITHOUT_EFFECT = {"charset", "page", "font-face", "keyframes", "counter-style", "font-feature-values", "import"}


def holds_css(name: str) -> bool:
    """Whether an attribute, by its local name, may hold a value of CSS."""
    return not _NO_CSS.match(name)


def needs_inlining(name: str, value: str) -> bool:
    """Whether an attribute, by its local name, holds what the renderer does not know."""
    if not holds_css(name) or not ("(" in value or name == "style"):
        return False
    return bool(_NEEDS_INLINING.search(value) or (name == "style" and _SIZE_IN_STYLE.search(value)))


def inline(text: str) -> str:
    """Write the style sheets of an SVG into the `style` of its elements, with variables and colours resolved.

    Raises:
        ValueError: if it is styled by something that cannot be resolved, which it names.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"not a readable SVG: {error}") from None
    matcher = cssselect2.Matcher()
    initial: dict[str, str | None] = {}
    for element in root.iter():
        if _local_name(element.tag) == "style":
            if svg_media.holds(element.get("media", "")) and element.get("type", "text/css") in ("text/css", ""):
                _add_rules("".join(element.itertext()), matcher, initial)
            element.clear()
    variables: dict[Any, dict[str, str | None]] = {None: initial}  # of each element
    for wrapper in cssselect2.ElementWrapper.from_xml_root(root).iter_subtree():
        element = wrapper.etree_element
        declared = _cascade(matcher.match(wrapper), element)
        variables[wrapper] = _resolve_variables(declared, variables[wrapper.parent])
        _write_style(element, declared, variables[wrapper], is_root=element is root)
    return ElementTree.tostring(root, encoding="unicode")


def _local_name(name: Any) -> str:
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _add_rules(css: str, matcher: Any, initial: dict[str, str | None]) -> None:
    """Add the rules of a style sheet to a matcher, and initial values of variables to `initial`."""
    namespaces: dict[str | None, str] = {}
    for rule in _rules(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)):
        if rule.type == "at-rule" and rule.lower_at_keyword == "namespace":
            tokens = [token.value for token in rule.prelude if token.type in ("ident", "string", "url")]
            namespaces[tokens[0] if len(tokens) > 1 else None] = tokens[-1] if tokens else ""
        elif rule.type == "at-rule":  # @property
            for declaration in _declarations(rule.content):
                if declaration.lower_name == "initial-value":
                    initial[tinycss2.serialize(rule.prelude).strip()] = tinycss2.serialize(declaration.value).strip()
        else:
            declarations = list(_declarations(rule.content))
            try:
                selectors = cssselect2.compile_selector_list(rule.prelude, namespaces=namespaces)
            except cssselect2.SelectorError:
                continue  # CSS leaves out a rule whose selector is wrong
            for selector in selectors:
                matcher.add_selector(selector, declarations)


def _rules(parsed: list[Any]) -> Iterator[Any]:
    """Rules that hold for a picture on a screen, those in media queries included, @namespace and @property."""
    for rule in parsed:
        name = rule.lower_at_keyword.removeprefix("-webkit-") if rule.type == "at-rule" else ""
        if rule.type == "qualified-rule" or name in ("namespace", "property"):
            yield rule
        elif name == "media":
            if svg_media.holds(tinycss2.serialize(rule.prelude)):
                yield from _rules(tinycss2.parse_rule_list(rule.content or [], True, True))
        elif name and name not in _WITHOUT_EFFECT:
            raise ValueError(f"is styled by @{name}, which is not drawn")


def _declarations(content: Any) -> Iterator[Any]:
    for part in tinycss2.parse_blocks_contents(content or [], True, True):
        if part.type == "declaration":
            yield part
        elif part.type == "qualified-rule":
            raise ValueError("is styled by rules within rules, which are not drawn")


def _cascade(matches: list[Any], element: ElementTree.Element) -> dict[str, list[Any]]:
    """The declarations that win for an element, as {property: tokens of its value}, the later ones last.

    As in every renderer, a colour that cannot be drawn does not win over one that can.
    """
    rules = [declaration for *_, pseudo, declarations in matches if pseudo is None for declaration in declarations]
    own = list(_declarations(element.get("style", "")))
    won: dict[str, list[Any]] = {}
    failed: dict[str, ValueError] = {}
    for important in (False, True):
        for declaration in [*rules, *own]:
            name = declaration.name if declaration.name.startswith("--") else declaration.lower_name
            if declaration.important != important:
                continue
            try:
                _plain_colour(name, tinycss2.serialize(declaration.value).strip())
            except ValueError as error:
                failed[name] = error
                continue
            won.pop(name, None)
            won[name] = declaration.value
    for name in failed.keys() - won.keys() - element.attrib.keys():
        raise failed[name]
    return won


def _resolve_variables(declared: dict[str, list[Any]], inherited: dict[str, str | None]) -> dict[str, str | None]:
    """The values of the variables at an element; None is one that refers to itself or to an unknown one."""
    own = {name: value for name, value in declared.items() if name.startswith("--")}
    if not own:
        return inherited
    resolved = dict(inherited) | dict.fromkeys(own)  # while one is resolved it is None, which ends a circle
    pending = dict(own)

    def value_of(name: str) -> str | None:
        if name in pending:
            resolved[name] = _substitute(pending.pop(name), value_of)
        return resolved.get(name)

    for name in own:
        value_of(name)
    return resolved


def _substitute(tokens: list[Any], value_of: Any) -> str | None:
    """The text of a value with its variables replaced; None if one has no value and no fallback."""
    parts = []
    for token in tokens:
        content = token.arguments if token.type == "function" else getattr(token, "content", None)
        if token.type == "function" and token.lower_name == "var":
            part = _variable(token.arguments, value_of)
        elif content:
            inner = _substitute(content, value_of)
            brackets = f"{token.name}()" if token.type == "function" else token.type[:2]
            part = None if inner is None else f"{brackets[:-1]}{inner}{brackets[-1]}"
        else:
            part = token.serialize()
        if part is None:
            return None
        parts.append(part)
    value = "".join(parts).strip()
    if len(value) > _MAX_VALUE:
        raise ValueError(f"its variables unfold to more than {_MAX_VALUE:,} characters")
    return value


def _variable(arguments: list[Any], value_of: Any) -> str | None:
    """The value of var(NAME) or var(NAME, FALLBACK)."""
    name = next((token.value for token in arguments if token.type == "ident"), "")
    commas = [number for number, token in enumerate(arguments) if token == ","]
    value = value_of(name)
    if value is None and commas:
        return _substitute(arguments[commas[0] + 1 :], value_of)
    return value


def _write_style(
    element: ElementTree.Element, declared: dict[str, list[Any]], variables: dict[str, str | None], *, is_root: bool
) -> None:
    """Write the resolved properties of an element into its attributes."""
    for key, text in list(element.attrib.items()):
        name = _local_name(key)
        if name != "style" and needs_inlining(name, text):
            element.set(key, _resolve(name, tinycss2.parse_component_value_list(text), variables))
    style = {}
    for name, value in declared.items():
        if name.startswith("--"):
            continue
        style[name] = _resolve(name, value, variables)
        if name in _SIZES and not is_root:
            element.set(name, style[name])
        elif name == "d" and (path := re.fullmatch(r"""path\(\s*["'](.*)["']\s*\)""", style[name], re.DOTALL)):
            element.set("d", path.group(1))
    element.attrib.pop("style", None)
    if style:
        element.set("style", ";".join(f"{name}:{value}" for name, value in style.items()))


def _resolve(name: str, tokens: list[Any], variables: dict[str, str | None]) -> str:
    """The value of a property as the renderer knows it."""
    value = _substitute(tokens, variables.get)
    if value is None:
        raise ValueError(f"its {name} is {tinycss2.serialize(tokens).strip()[:80]}, a variable that it does not define")
    if name in _SIZES and _ARITHMETIC.search(value):
        raise ValueError(f"its {name} is {value[:80]}, which is not drawn")
    return _plain_colour(name, value)


def _plain_colour(name: str, value: str) -> str:
    """The value of a property: if it is a colour of CSS 4 or 5, as rgba(...) of sRGB, else as it is."""
    if name not in _COLOURS or not _COLOUR_FUNCTION.match(value) or "var(" in value:
        return value
    try:
        colour: Any = tinycss2.color5.parse_color(value, color_schemes=("light",))
        colour = colour.to("srgb") if hasattr(colour, "to") else colour
    except NotImplementedError:  # of tinycss2, for a colour space that it does not convert
        colour = None
    if colour is None:
        raise ValueError(f"its {name} is {value[:80]}, a colour that is not drawn")
    if isinstance(colour, str):  # currentcolor
        return colour
    red, green, blue = (round(255 * min(max(part or 0, 0), 1)) for part in colour.coordinates)
    return f"rgba({red}, {green}, {blue}, {colour.alpha:g})"
