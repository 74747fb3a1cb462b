"""What browsers and meetings write into the titles of their windows. Pure.

A title is all that a window system tells of a page. Firefox, its relatives, Edge, Vivaldi and Opera write into it that
a window is private. Chromium and Chrome do not: of them only the page that a new private tab shows can be known.

The words of other languages are those of Firefox 153 and Chromium 156 (Debian's firefox-esr-l10n-* and chromium-l10n).
"""

# ruff: noqa: RUF001 - words of many alphabets

from __future__ import annotations

import re
from typing import Final

FIREFOX_PRIVATE: Final = {
    "ar": ("التصفح الخاص",),
    "bg": ("Поверително сърфиране",),
    "bn": ("ব্যক্তিগত ব্রাউজিং",),
    "ca": ("Navegació privada",),
    "cs": ("Anonymní prohlížení",),
    "da": ("Privat browsing",),
    "de": ("Privater Modus",),
    "el": ("Ιδιωτική περιήγηση",),
    "en": ("Private Browsing",),
    "es": ("Navegación privada",),
    "et": ("privaatne veebilehitsemine",),
    "eu": ("Nabigatze pribatua",),
    "fa": ("مرور ناشناس",),
    "fi": ("Yksityinen selaus",),
    "fr": ("Navigation privée",),
    "gl": ("Navegación privada",),
    "he": ("גלישה פרטית",),
    "hr": ("privatno pregledavanje",),
    "hu": ("privát böngészés",),
    "id": ("Meramban Privat", "Penjelajahan Pribadi"),
    "it": ("Navigazione anonima",),
    "ja": ("プライベートブラウジング", "プライベート ブラウジング"),
    "ko": ("사생활 보호 모드",),
    "lv": ("privātā pārlūkošana",),
    "nb": ("Privat nettlesing",),
    "nl": ("Privénavigatie",),
    "pl": ("tryb prywatny",),
    "pt": ("Navegação privativa", "Navegação privada"),
    "ro": ("Navigare privată",),
    "ru": ("Приватный просмотр",),
    "sk": ("Súkromné prehliadanie",),
    "sl": ("Zasebno brskanje",),
    "sr": ("приватно прегледање",),
    "sv": ("Privat surfning",),
    "th": ("การเรียกดูแบบส่วนตัว",),
    "tr": ("Gizli Gezinti",),
    "uk": ("Приватний перегляд",),
    "vi": ("duyệt web riêng tư",),
    "zh": ("隐私浏览", "隱私瀏覽模式"),
}
"""What Firefox and its relatives put before or after the browser's name, at the end of a private window's title."""

CHROMIUM_PRIVATE: Final = {
    "af": ("Nuwe Incognito-oortjie",),
    "am": ("አዲስ ማንነት የማያሳውቅ ትር",),
    "ar": ("علامة تبويب للتصفح المتخفي",),
    "bg": ("Нов раздел в режим „инкогнито“",),
    "bn": ("নতুন ছদ্মবেশী ট্যাব",),
    "ca": ("Pestanya d'incògnit nova",),
    "cs": ("Nová anonymní karta",),
    "da": ("Ny inkognitofane",),
    "de": ("Neuer Inkognitotab", "Neuer Inkognito-Tab"),
    "el": ("Νέα καρτέλα ανώνυμης περιήγησης",),
    "en": ("New Incognito Tab", "New Private Tab"),
    "es": ("Nueva pestaña de Incógnito",),
    "et": ("Uus inkognito vaheleht",),
    "fa": ("زبانه ناشناس جدید",),
    "fi": ("Uusi incognito-välilehti",),
    "fil": ("Bagong Tab na Incognito",),
    "fr": ("Nouvel onglet de navigation privée",),
    "gu": ("નવું છૂપું ટૅબ",),
    "he": ("כרטיסייה פרטית חדשה",),
    "hi": ("नया गुप्त टैब",),
    "hr": ("Nova anonimna kartica",),
    "hu": ("Új inkognitó lap",),
    "id": ("Tab Samaran Baru",),
    "it": ("Nuova scheda Incognito",),
    "ja": ("新しいシークレット タブ",),
    "kn": ("ಹೊಸ ಅದೃಶ್ಯ ಟ್ಯಾಬ್",),
    "ko": ("새 시크릿 탭",),
    "lt": ("Naujas inkognito skirtukas",),
    "lv": ("Jauna inkognito cilne",),
    "ml": ("പുതിയ ആൾമാറാട്ട ടാബ്",),
    "mr": ("नवीन गुप्त टॅब",),
    "ms": ("Tab Inkognito Baharu",),
    "nb": ("Ny inkognitofane",),
    "nl": ("Nieuw incognitotabblad",),
    "pl": ("Nowa karta incognito",),
    "pt-BR": ("Nova guia anônima",),
    "pt-PT": ("Novo separador anónimo",),
    "ro": ("Filă incognito nouă",),
    "ru": ("Новая вкладка инкогнито",),
    "sk": ("Nová karta inkognito",),
    "sr": ("Нова картица без архивирањa",),
    "sv": ("Ny inkognitoflik",),
    "sw": ("Kichupo Fiche Kipya",),
    "ta": ("புதிய மறைநிலைத் தாவல்",),
    "te": ("కొత్త అజ్ఞాత ట్యాబ్",),
    "th": ("แท็บที่ไม่ระบุตัวตนใหม่",),
    "tr": ("Yeni Gizli Sekme",),
    "uk": ("Нова анонімна вкладка",),
    "ur": ("نیا پوشیدگی ٹیب",),
    "vi": ("Thẻ ẩn danh mới",),
    "zh-CN": ("新的无痕式标签页",),
    "zh-TW": ("新無痕分頁",),
}
"""The first page of a private window of Chromium, Chrome and, in English, Brave."""

FIREFOX_SHARING: Final = {
    "ar": ("علامة المشاركة",),
    "bg": ("Споделяне",),
    "ca": ("Indicador de compartició",),
    "da": ("Indikator for deling",),
    "de": ("Teilen-Hinweis",),
    "el": ("Δείκτης κοινής χρήσης",),
    "es": ("Indicador de compartición",),
    "et": ("jagamisindikaator",),
    "eu": ("Partekatzearen adierazlea",),
    "fa": ("شاخص اشتراک‌گذاری",),
    "fi": ("Jakamisen ilmaisin",),
    "fr": ("Indicateur de partage",),
    "gl": ("Indicador de compartición",),
    "he": ("מחוון שיתוף",),
    "hr": ("indikator dijeljenja",),
    "hu": ("Megosztásjelző",),
    "id": ("Indikator Berbagi",),
    "it": ("Indicatore condivisione",),
    "ja": ("共有インジケーター",),
    "ko": ("공유 표시기",),
    "lv": ("Kopīgošanas rādītājs",),
    "nb": ("Delingsviser",),
    "nl": ("Indicator voor delen",),
    "pl": ("wskaźnik udostępniania",),
    "pt": (
        "Indicador de compartilhamento",
        "Indicador de partilha",
    ),
    "ro": ("Indicator de partajare",),
    "ru": ("Индикатор общего доступа",),
    "sl": ("Pokazatelj skupne rabe",),
    "sr": ("индикатор дељења",),
    "sv": ("Delningsindikator",),
    "th": ("ตัวบ่งชี้การแบ่งปัน",),
    "tr": ("Paylaşım Göstergesi",),
    "uk": ("покажчик спільного доступу",),
    "vi": ("Chỉ báo chia sẻ",),
    "zh": (
        "共享指示器",
        "分享指示器",
    ),
}
"""How Firefox calls the bar that stays while a page shares something, after its own name; for cs and sk see below."""


def _one_of(words: dict[str, tuple[str, ...]]) -> str:
    """An expression for any of them; the longest first, of several that begin alike."""
    flat = sorted({word for of_language in words.values() for word in of_language}, key=len, reverse=True)
    return f"(?:{'|'.join(re.escape(word) for word in flat)})"


PRIVATE_TITLES: Final = (
    # At most the browser's name follows, which has no dash in it: a page may speak of private windows.
    _one_of(FIREFOX_PRIVATE) + r"(?:(?! - )[^\u2014\u2013]){0,40}$",
    # Edge, Vivaldi, Opera, Epiphany.
    r"\[InPrivate\]|\bInPrivate [-\u2014\u2013] Microsoft",
    r"\[(?:Private|Incognito)\]|\((?:Private|Incognito)\)$",
    "^" + _one_of(CHROMIUM_PRIVATE) + r"(?=\s|$)",
)
"""Expressions for titles of private windows; of Edge, Vivaldi, Opera and Epiphany in English."""

SHARING_TITLES: Final = (
    r"\bis sharing (?:your screen|a window|a (?:\w+ )?tab)\b",  # Chromium in English; else see ``policy.sharing``
    r"\bSharing Indicator\b",  # Firefox in English
    r"^[^-\u2013\u2014]{1,30} [-\u2013\u2014] " + _one_of(FIREFOX_SHARING) + "$",
    r"^(?:Ukazatel sdílení|Ukazovateľ zdieľania) [^-\u2013\u2014]{1,40}$",  # in Czech and Slovak before its name
    r"^Sharing control bar\b",  # Teams
    r"^(?:as_toolbar|zoom_linux_float_video_window|You are screen sharing)",  # Zoom
)
SHARING_APPS: Final = ("as_toolbar",)

BROWSERS: Final = (
    "firefox",
    "abrowser",
    "basilisk",
    "cachy-browser",
    "firedragon",
    "floorp",
    "icecat",
    "iceweasel",
    "librewolf",
    "mullvad",
    "navigator",  # as Mozilla's programs call the windows of their browsers
    "pale moon",
    "palemoon",
    "seamonkey",
    "tor browser",
    "waterfox",
    "zen",
    "chromium",
    "chrome",
    "brave",
    "iridium",
    "thorium",
    "yandex-browser",
    "edge",
    "vivaldi",
    "opera",
    "epiphany",
    "falkon",
    "konqueror",
    "qutebrowser",
    "safari",
)
