"""The settings and the files that they name, and every host that hudd would contact."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.config.crosschecks import is_proxy_address
from hudd.errors import SettingsError, cause_and_remedy


def check_settings(context: Context) -> Iterable[Finding]:
    """One line for each mistake; or where they come from."""
    for problem in context.problems:
        cause, remedy = cause_and_remedy(problem)
        yield failure("settings", cause, remedy.rstrip(".") or "Correct it, then run: hudd --check")
    loaded = context.loaded
    if loaded is None:
        return
    origins = list(loaded.origins.values())
    where = f"from {loaded.file}" if loaded.file is not None else "all default, there is no settings file"
    set_by_environment = sorted({origin for origin in origins if origin.startswith("HUDD_")})
    told = f"The settings are right ({where}{', and ' if set_by_environment else ''}{', '.join(set_by_environment)})."
    yield ok("settings", told, file=str(loaded.file or ""), environment=set_by_environment)


def check_profile(context: Context) -> Iterable[Finding]:
    """Whether the profile that the settings name can be used."""
    from hudd.adapters import load_instructions  # noqa: PLC0415 - loads what the daemon needs

    try:
        load_instructions(context.settings, context.environ)
    except SettingsError as error:
        yield from _mistakes("profile", error, "Correct that file, or the path in [notes] profile")
    else:
        yield ok("profile", "The instructions for the model can be read.")


def check_prices(context: Context) -> Iterable[Finding]:
    """Whether the prices can be used, and whether the model has one."""
    from hudd.adapters import load_prices  # noqa: PLC0415 - loads what the daemon needs

    realtime = context.settings.realtime
    try:
        prices = load_prices(context.settings, context.environ)
    except SettingsError as error:
        yield from _mistakes("prices", error, "Correct that file, or the path in [cost] prices_file")
        return
    if context.asks_service and prices.find(realtime.model) is None and not context.settings.cost.token_cap_day:
        cause = f"No price is known for {realtime.model}, so nothing is sent to it."
        yield warning("prices", cause, "Name a file with its prices in [cost] prices_file, or set token_cap_day")
    else:
        yield ok("prices", f"The prices can be read; they are those of {prices.date}.", date=prices.date)


def _mistakes(name: str, error: SettingsError, otherwise: str) -> Iterable[Finding]:
    for problem in error.problems:
        cause, remedy = cause_and_remedy(problem)
        yield failure(name, cause, remedy.rstrip(".") or otherwise)


def check_hosts(context: Context) -> Iterable[Finding]:
    """Every host that hudd would contact with these settings."""
    hosts = contacted(context)
    realtime = context.settings.realtime
    if hosts:
        why = "the service answers" if realtime.use == "service" else "only asked now, because of --service"
        told = f"hudd contacts {' and '.join(hosts)}, nobody else ({why})."
    else:
        told = "hudd contacts nobody: the local engine answers, on this machine."
    listens = context.settings.bus.remote
    if listens:
        told += f" Other machines that hold a key may come in at {listens}."
    yield ok("hosts", told, hosts=hosts, listens=listens)


def contacted(context: Context) -> list[str]:
    """``host:port`` of each, without names and passwords."""
    if not context.asks_service:
        return []
    parts = urlsplit(context.settings.realtime.url)
    hosts = [f"{parts.hostname}:{port_of(parts)}"]
    proxy = proxy_of(context)
    if proxy and is_proxy_address(proxy):
        middle = urlsplit(proxy)
        hosts.insert(0, f"{middle.hostname}:{port_of(middle)} (proxy)")
    return hosts


def proxy_of(context: Context) -> str:
    """The proxy between us and the endpoint, with its password if it has one; '' for none."""
    from hudd.realtime.link import endpoint_url, proxy_between  # noqa: PLC0415 - loads websockets

    realtime = context.settings.realtime
    return (
        proxy_between(endpoint_url(realtime.url, ""), proxy=realtime.proxy != "none" and (realtime.proxy or True)) or ""
    )


def port_of(parts: SplitResult) -> int:
    """Of an address, where it names none that of its scheme; a SOCKS proxy has none."""
    return parts.port or (443 if parts.scheme in ("wss", "https") else 80)
