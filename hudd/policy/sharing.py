"""What Chromium and its relatives write into the title of the bar that stays while a page shares the screen. Pure.

The words are those of Chromium 156 (Debian's chromium-l10n).
"""

# ruff: noqa: RUF001 - words of many alphabets

from __future__ import annotations

import re
from itertools import chain
from typing import Final

CHROMIUM_SHARING: Final = {
    "af": (
        "{} deel tans jou skerm",
        "{} deel tans jou skerm en oudio",
        "{} deel tans 'n venster",
        "{} deel tans 'n Chrome-oortjie",
    ),
    "am": (
        "{} ማያ ገጽዎን እያጋራ ነው",
        "{} የእርስዎን ማያ ገፅ እና ኦዲዮ እያጋራ ነው",
        "{} አንድ መስኮት እያጋራ ነው",
        "{} የChrome ትር እያጋራ ነው",
    ),
    "ar": (
        "{} يشارك شاشتك",
        "يشارك {} الشاشة والصوت",
        "يشارك {} نافذة",
        "يشارك {} علامة تبويب متصفح Chrome",
    ),
    "bg": (
        "{} споделя екрана ви",
        "{} споделя екрана и звука ви",
        "{} споделя прозорец",
        "{} споделя раздел в Chrome",
    ),
    "bn": (
        "{} আপনার স্ক্রিন ভাগ করছে",
        "{} আপনার স্ক্রিন এবং অডিও শেয়ার করছে",
        "{} একটি উইন্ডো শেয়ার করছে",
        "{} একটি Chrome ট্যাব শেয়ার করছে",
    ),
    "ca": (
        "{} comparteix la vostra pantalla",
        "{} està compartint la pantalla i l'àudio",
        "{} està compartint una finestra",
        "{} està compartint una pestanya de Chrome",
    ),
    "cs": (
        "{} sdílí vaši obrazovku",
        "{} sdílí vaši obrazovku a zvuk",
        "{} sdílí okno",
        "{} sdílí kartu Chrome",
    ),
    "da": (
        "{} deler din skærm",
        "{} deler din skærm og lyd",
        "{} deler et vindue",
        "{} deler en Chrome-fane",
    ),
    "de": (
        "{} hat deinen Bildschirm freigegeben",
        "{} teilt Bildschirm und Audio",
        "{} hat ein Fenster geteilt",
        "{} hat einen Chrome-Tab freigegeben",
    ),
    "el": (
        "Η εφαρμογή {} μοιράζεται την οθόνη σας",
        "Η εφαρμογή {} μοιράζεται την οθόνη και τον ήχο σας",
        "Η εφαρμογή {} μοιράζεται ένα παράθυρο",
        "Η εφαρμογή {} μοιράζεται μια καρτέλα Chrome",
    ),
    "es": (
        "{} está compartiendo tu pantalla",
        "{} está compartiendo la pantalla y el audio",
        "{} está compartiendo una ventana",
        "{} está compartiendo una pestaña de Chrome",
    ),
    "es-419": (
        "{} está compartiendo tu pantalla",
        "{} comparte tu pantalla y audio",
        "{} está compartiendo una ventana",
        "{} comparte una pestaña de Chrome",
    ),
    "et": (
        "{} jagab teie ekraani",
        "Rakendus {} jagab teie ekraani ja heli",
        "{} jagab akent",
        "Rakendus {} jagab Chrome'i vahelehte",
    ),
    "fa": (
        "{} در حال اشتراک‌گذاری صفحه نمایش شما است",
        "{} درحال اشتراک‌گذاری صفحه و صوت شماست",
        "{} در حال اشتراک‌گذاری یک پنجره است",
        "{} درحال اشتراک‌گذاری یک برگه Chrome است",
    ),
    "fi": (
        "{} jakaa näyttösi",
        "{} jakaa näyttösi ja äänesi",
        "{} jakaa ikkunan",
        "{} jakaa Chrome-välilehden",
    ),
    "fil": (
        "Ibinabahagi ng {} ang iyong screen",
        "Ibinabahagi ng {} ang iyong screen at audio",
        "Nagbabahagi ng window ang {}",
        "Nagbabahagi ang {} ng isang tab ng Chrome",
    ),
    "fr": (
        "Votre écran est partagé par le biais de l'application {}",
        "{} partage votre écran et un contenu audio",
        "{} partage une fenêtre",
        "{} partage un onglet Chrome",
    ),
    "gu": (
        "{} તમારી સ્ક્રીનને શેર કરી રહી છે",
        "{}, તમારી સ્ક્રીન અને ઑડિઓને શેર કરી રહી છે",
        "{}, એક વિંડો શેર કરી રહી છે",
        "{}, Chrome ટૅબને શેર કરી રહી છે",
    ),
    "he": (
        "{} משתף את המסך שלך",
        "{} משתף את המסך והאודיו שלך",
        "{} משתף חלון",
        "{} משתף כרטיסיית Chrome",
    ),
    "hi": (
        "{} आपकी स्क्रीन शेयर कर रहा है",
        "{} आपकी स्क्रीन और ऑडियो को शेयर कर रहा है",
        "{} किसी विंडो को शेयर कर रहा है",
        "{}, Chrome टैब को शेयर कर रहा है",
    ),
    "hr": (
        "{} dijeli vaš zaslon",
        "{} dijeli zaslon i zvuk",
        "{} dijeli prozor",
        "{} dijeli Chromeovu karticu",
    ),
    "hu": (
        "A(z) {} megosztja az Ön képernyőjét",
        "A(z) {} megosztja a képernyőt és a hangot",
        "A(z) {} megoszt egy ablakot",
        "A(z) {} megosztja a Chrome egy lapját",
    ),
    "id": (
        "{} berbagi layar Anda",
        "{} membagikan layar dan audio Anda",
        "{} membagikan jendela",
        "{} membagikan tab Chrome",
    ),
    "it": (
        "{} sta condividendo il tuo schermo",
        "{} condivide l'audio e il tuo schermo",
        "{} sta condividendo una finestra",
        "{} condivide una scheda Chrome",
    ),
    "ja": (
        "{} が画面を共有しています",
        "{} が画面と音声を共有しています",
        "{} がウィンドウを共有しています",
        "{} が Chrome タブを共有しています",
    ),
    "kn": (
        "{} ನಿಮ್ಮ ಪರದೆಯನ್ನು ಹಂಚಿಕೊಳ್ಳುತ್ತಿದೆ",
        "{} ನಿಮ್ಮ ಸ್ಕ್ರೀನ್ ಮತ್ತು ಆಡಿಯೋವನ್ನು ಹಂಚಿಕೊಳ್ಳುತ್ತಿದೆ",
        "{} ವಿಂಡೋವನ್ನು ಹಂಚಿಕೊಳ್ಳುತ್ತಿದೆ",
        "{} Chrome ಟ್ಯಾಬ್ ಅನ್ನು ಹಂಚಿಕೊಳ್ಳುತ್ತಿದೆ",
    ),
    "ko": (
        "{}에서 내 화면을 공유하는 중입니다",
        "{}에서 내 화면과 오디오를 공유하는 중입니다",
        "{}이(가) 창을 공유합니다",
        "{}이(가) Chrome 탭을 공유합니다",
    ),
    "lt": (
        "„{}“ bendrina jūsų ekraną",
        "„{}“ bendrina jūsų ekraną ir garsą",
        "„{}“ bendrina langą",
        "„{}“ bendrina „Chrome“ skirtuką",
    ),
    "lv": (
        "Lietotnē {} tiek kopīgots jūsu ekrāns",
        "Lietotne {} koplieto jūsu ekrānu un audio",
        "Lietotne {} koplieto logu",
        "Lietotne {} koplieto Chrome cilni",
    ),
    "ml": (
        "{} എന്നത് നിങ്ങളുടെ സ്‌ക്രീൻ പങ്കിടുന്നു",
        "{} നിങ്ങളുടെ സ്‌ക്രീനും ഓഡിയോയും പങ്കിടുന്നു",
        "{}, ഒരു വിൻഡോ പങ്കിടുന്നു",
        "{}, Chrome ടാബ് പങ്കിടുന്നു",
    ),
    "mr": (
        "{} तुमची स्क्रीन शेअर करत आहे",
        "{} तुमची स्क्रीन आणि ऑडिओ शेअर करीत आहे",
        "{} विंडो शेअर करीत आहे",
        "{} Chrome टॅब शेअर करीत आहे",
    ),
    "ms": (
        "{} berkongsi skrin anda",
        "{} berkongsi skrin dan audio anda",
        "{} berkongsi tetingkap",
        "{} berkongsi tab Chrome",
    ),
    "nb": (
        "{} deler skjermen din",
        "{} deler lyden og skjermen din",
        "{} deler et vindu",
        "{} deler en Chrome-fane",
    ),
    "nl": (
        "{} deelt je scherm",
        "{} deelt je scherm en audio",
        "{} deelt een venster",
        "{} deelt een Chrome-tabblad",
    ),
    "pl": (
        "Aplikacja {} udostępnia Twój ekran",
        "{} udostępnia ekran i dźwięk",
        "{} udostępnia okno",
        "{} udostępnia kartę Chrome",
    ),
    "pt-BR": (
        "O {} está compartilhando sua tela",
        "O app {} está compartilhando sua tela e áudio",
        "O app {} está compartilhando uma janela",
        "O app {} está compartilhando uma guia do Chrome",
    ),
    "pt-PT": (
        "{} está a partilhar o seu ecrã",
        "{} está a partilhar o ecrã e o áudio",
        "{} está a partilhar uma janela",
        "{} está a partilhar um separador do Chrome",
    ),
    "ro": (
        "Aplicația {} are acces la ecran",
        "{} trimite conținutul de pe ecran și conținutul audio",
        "{} trimite conținutul unei ferestre",
        "{} trimite conținutul unei file Chrome",
    ),
    "ru": (
        "Приложению {} предоставлен доступ к вашему экрану",
        'Приложение "{}" предоставило доступ к экрану и аудио',
        "{} демонстрирует окно",
        'Приложение "{}" предоставило доступ к вкладке Chrome',
    ),
    "sk": (
        "Aplikácia {} zdieľa vašu obrazovku",
        "{} zdieľa vašu obrazovku a zvuk",
        "{} zdieľa okno",
        "{} zdieľa kartu Chromu",
    ),
    "sl": (
        "{} souporablja vaš zaslon",
        "Aplikacija {} je v skupno rabo dala vaš zaslon in zvok",
        "Aplikacija {} je v skupno rabo dala okno",
        "Aplikacija {} je v skupno rabo dala Chromov zavihek",
    ),
    "sr": (
        "{} дели екран",
        "{} дели екран и звук",
        "{} дели прозор",
        "{} дели Chrome картицу",
    ),
    "sv": (
        "{} delar din skärm",
        "{} delar skärmen och ljudet",
        "{} delar ett fönster",
        "{} delar en Chrome-flik",
    ),
    "sw": (
        "{} inashiriki skrini yako",
        "{} inashiriki skrini na sauti yako",
        "{} inashiriki dirisha",
        "{} inashiriki kichupo cha Chrome",
    ),
    "ta": (
        "{} உங்கள் திரையைப் பகிர்கிறது",
        "{} உங்கள் திரையையும் ஆடியோவையும் பகிர்கிறது",
        "{} சாளரத்தைப் பகிர்கிறது",
        "{} Chrome தாவலைப் பகிர்கிறது",
    ),
    "te": (
        "{} మీ స్క్రీన్‌ను షేర్ చేస్తోంది",
        "{} మీ స్క్రీన్ మరియు ఆడియోను షేర్ చేస్తోంది",
        "{} ఒక విండోను షేర్ చేస్తోంది",
        "{} ఒక Chrome ట్యాబ్‌ను షేర్ చేస్తోంది",
    ),
    "th": (
        "{} กำลังแชร์หน้าจอของคุณ",
        "{} กำลังแชร์หน้าจอและเสียงของคุณ",
        "{} กำลังแชร์หน้าต่าง",
        "{} กำลังแชร์แท็บใน Chrome",
    ),
    "tr": (
        "{} ekranınızı paylaşıyor",
        "{}, ekranınızı ve sesinizi paylaşıyor",
        "{}, bir pencereyi paylaşıyor",
        "{}, bir Chrome sekmesini paylaşıyor",
    ),
    "uk": (
        "{} має доступ до вашого екрана",
        "{} транслює ваш екран і аудіо",
        "{} транслює вікно",
        "{} транслює вкладку Chrome",
    ),
    "ur": (
        "{} آپ کی اسکرین کا اشتراک کر رہی ہے",
        "{} آپ کی اسکرین اور آڈیو کا اشتراک کر رہی ہے",
        "{} ایک ونڈو کا اشتراک کر رہی ہے",
        "{} ایک Chrome ٹیب کا اشتراک کر رہی ہے",
    ),
    "vi": (
        "{} đang chia sẻ màn hình của bạn",
        "{} đang chia sẻ màn hình và âm thanh của bạn",
        "{} đang chia sẻ một cửa sổ",
        "{} đang chia sẻ một thẻ trong Chrome",
    ),
    "zh-CN": (
        "{}正在共享您的屏幕",
        "{} 正在共享您的屏幕和音频",
        "“{}”正在分享窗口",
        "{} 正在共享 Chrome 标签页",
    ),
    "zh-TW": (
        "{} 正在共用你的畫面",
        "{} 正在共用您的畫面和音訊",
        "「{}」正在分享視窗",
        "{} 正在共用 Chrome 分頁",
    ),
}
"""Of the screen, of it with its sound, of a window and of a tab; ``{}`` is the page."""

_ENDS: Final = 512
"""So many letters at the beginning and at the end of a title are looked at; it may have megabytes."""
_MARKS: Final = re.compile("[\u200e\u200f]")
_STOPS: Final = " .\u3002\u1362\u0964\u06d4\u09f7"
_RELATIVES: Final = re.compile("chromium|brave|vivaldi|opera|edge|yandex|thorium")


def _plain(text: str) -> str:
    """Without what differs between writers: case, the name of the browser, marks of direction and the full stop."""
    text = _MARKS.sub("", text.casefold().replace("\xa0", " "))
    return _RELATIVES.sub("chrome", text).strip(_STOPS)


_PHRASES: Final = tuple(
    tuple(map(str.casefold, phrase.split("{}"))) for phrase in chain.from_iterable(CHROMIUM_SHARING.values())
)


def says_sharing(title: str) -> bool:
    """Whether a title is that of such a bar."""
    told = _plain(title if len(title) <= 2 * _ENDS else title[:_ENDS] + title[-_ENDS:])
    for before, after in _PHRASES:
        if told.endswith(after) and told.startswith(before):
            page = told[len(before) : len(told) - len(after)]
            if page and (after or " - " not in page):  # after a dash, a window's title names its program
                return True
    return False
