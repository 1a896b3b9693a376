"""The words that made-up samples are filled with: lists, and functions that make values. None of the names of people, places
and things of `tests/eval/` may stand here (tests/eval.rs reads the lists of names below).
"""
import random

# Names: tests/eval.rs checks each of them.
FIRST = """Anna Ben Clara David Emma Felix Grace Henry Ida Jonas Kim Lena Max Nora Oscar Paula Quinn Ruth Sam Tara Uma Victor Wanda Yara Zoe Amir
Bela Chen Diego Elif Farah Goran Hana Ivan Jude Kofi Luca Mina Nils Olga Priya Rosa Sven Tomas Vera Alice Boris Carmen Dana Erik Fiona Gustav Helen
Igor Julia Karl Laura Mehmet Nadia Otto Petr Rashid Sonja Timo Ursula Walter Xenia Yusuf Zara""".split()
LAST = """Adler Berg Castro Dunn Engel Fischer Garcia Hoffman Ito Jansen Kowalski Larsen Meyer Novak Okafor Peters Quist Rossi Schmidt Tanaka Ueda Vogel
Weber Yilmaz Zimmer Brown Carter Diaz Evans Ford Green Hill Khan Lopez Moore Nguyen Owens Patel Reed Silva""".split()
CITY = """Avonlea Brightwater Cordoba Dunmore Elmstad Farrow Gent Harlow Inverey Juniper Kestrel Lund Marle Norwick Oslo Porto Quilby Riva Stanmore Turin
Ulm Vigo Wexley Zadar Madrid Berlin Lisbon Vienna Prague Boston Denver Kyoto Lima Cairo Athens Dublin""".split()
FIRM = "Maplewood Northgate Bluefin Ironside Sunrise Greenline Starling Redwood Clearwater Silverlake Oakhill Brightside".split()

# Plain words.
THING = """passport stapler tent drill charger umbrella ladder suitcase camera toolbox printer paper|sewing box|blanket|air pump|first aid kit|board game|
winter coat|spare tyre|garden hose|flashlight|projector|guitar|sleeping bag|extension cord|paint roller|hammer|notebook|lunch box|helmet|rope|bucket|
calculator|scissors|envelope|candle|vase|mirror|pillow|basket|microphone|headset|keyboard|monitor|tripod|compass|thermos|frying pan|teapot|blender|toaster""".replace("\n", "").replace(" tent", "|tent")
THING = [x.strip() for part in THING.split("|") for x in (part.split(" ") if part.startswith("passport") else [part]) if x.strip()]
MACHINE = """boiler|fridge|oven|dishwashing machine|laptop|tablet|bicycle|freezer|sofa|television|lawn trimmer|microwave|heater|fan|sewing machine|treadmill|
scanner|radio clock|garage opener|vacuum pump|water filter|air conditioner|electric toothbrush|hair dryer|slow cooker|bread maker|snow blower|car|scooter|van""".replace("\n", "").split("|")
PLACE = """attic|basement|hall|kitchen drawer|top shelf|bottom drawer|wardrobe|glove box|balcony box|office cupboard|bathroom cabinet|store room|bookcase|
coat rack|window sill|tool shed|blue crate|wooden chest|cardboard box|filing cabinet|laundry room|spare room|back seat|mail box|bicycle basket|tea caddy""".replace("\n", "").split("|")
PREP = ["in", "on", "under", "behind", "next to", "on top of", "inside"]
COLOUR = "red blue green black white yellow brown grey orange purple silver pink".split()
ADJ = "old new big small heavy long round spare second cheap broken wooden plastic metal tall wide thin square foldable rented".split()
MONTH = "January February March April May June July August September October November December".split()
DAY = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
FOOD = "pancakes|lentil soup|apple cake|white bread|tomato sauce|goulash|rice pudding|pizza dough|waffles|pea soup|curry|granola|lasagne|plum tart|noodle salad|meatballs|omelette|potato gratin".split("|")
INGREDIENT = "flour|milk|sugar|butter|cream|rice|olive oil|lentils|onions|salt|garlic|carrots|yeast|cocoa|honey|cheese|beans|vanilla".split("|")
EVENT = """team meeting|parents' evening|birthday party|dentist appointment|budget review|book club|job interview|car inspection|swimming lesson|design workshop|
house viewing|yoga class|board meeting|concert|project kickoff|moving day|garden party|quarterly review|eye test|flea market|open day|blood test|picnic|lecture""".replace("\n", "").split("|")
SERVICE = """dentist|plumber|landlord|vet|doctor|accountant|gardener|electrician|school|pharmacy|garage|optician|library|bank|hairdresser|piano teacher|babysitter|
painter|tailor|courier|lawyer|bakery|town hall|swimming pool|insurance agent""".replace("\n", "").split("|")
PROGRAM = """backup|photo import|report|invoice export|deploy|sync job|cleanup|index rebuild|mail filter|test runner|log viewer|build server|cache|proxy|scheduler|
database|web server|installer|updater|parser|formatter|crawler|search service|monitor""".replace("\n", "").split("|")
CODEWORD = "maple harbor falcon cedar copper tiger lemon river cobalt thunder velvet pepper walnut saturn meadow pixel orbit anchor garnet comet".split()
ROLE = "chair|treasurer|coach|manager|team lead|cook|driver|guide|trainer|caretaker|editor|designer|tester|nurse|secretary|keeper".split("|")
REASON = """the road was closed|it rained all day|the key was missing|nobody had signed the form|the disk was full|a fuse had blown|the train was late|the supplier had no stock|
the password had expired|the filter was dirty|two people were ill|the hall was double booked|the battery was flat|a cable was loose|the licence had run out|the floor was still wet|
the price went up|the old one was too small|the neighbours complained|a screw was missing""".replace("\n", "").split("|")
MATERIAL = "oak|steel|cotton|wool|glass|linen|leather|bamboo|copper|paper|clay|rubber|granite|nylon|cork|pine".split("|")
HEAD = "Home Keys Todo Contacts Things Misc Family Work Money Yard IT Wellbeing Recipes Diary Ideas Plans 2023 2024 2025 2026 Notes Lists".split()
FILE = """notes/home.md|notes/todo.txt|notes/family.md|work/log.md|diary.txt|notes.md|notes/it.md|documents/house.txt|inbox.org|wiki/home.md|notes/2024-11.md|personal/misc.txt|
recipes.md|notes/meetings.md|archive/2022.txt|projects/plan.md|shared/faq.md|docs/guide.txt|manuals/readme.txt|team/minutes.md|club/news.txt|trip/plan.md""".replace("\n", "").split("|")
FILLER = """Remember to check this again next month.|Ask at the desk if unsure.|This changed recently.|See the folder for details.|All fine for now.|Talked about it on the phone.|
No news since then.|Bring a pen and some cash.|It rained the whole afternoon.|Good walk by the lake afterwards.|Need to write this up properly.|More on that another time.|
Still waiting for an answer.|Everybody was happy with it.|Do not forget the receipts.|It took longer than we thought.""".replace("\n", "").split("|")

SYLLABLES = "ba be bi bo bra bre dor da den dil fa fen fir gal gor ha hel in jo ka kel kir la lor lu ma mel mir na nel no or pa per pol ra ri ro sa sel sha sil ta tel tor va ver vi wen wil xan ya zel zo".split()


def name(rng):
    """A word that nobody has seen: names of programs, brands and places are mostly new to a model."""
    word = "".join(rng.choice(SYLLABLES) for _ in range(rng.choice([2, 2, 3]))) + rng.choice(["", "", "n", "s", "x", "th", "ck", "m"])
    return word.capitalize() if rng.random() < .7 else word


def digits(rng, n):
    return "".join(rng.choice("0123456789") for _ in range(n))


def code(rng):
    shape = rng.choice(["AA-999", "A9999", "AAA9999", "99-999-AA", "A-9999", "AA99999", "999/99/9999", "AAA-99-9", "9999-A"])
    return "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") if c == "A" else rng.choice("0123456789") if c == "9" else c for c in shape)


def person(rng):
    r = rng.random()
    first, last = rng.choice(FIRST), rng.choice(LAST)
    return first if r < .5 else f"{first} {last}" if r < .75 else f"{rng.choice(['Mr', 'Mrs', 'Dr', 'Ms'])} {rng.choice([last, name(rng).capitalize()])}" if r < .9 else name(rng).capitalize()


def place(rng):
    return rng.choice(CITY) if rng.random() < .5 else name(rng).capitalize()


def clock(rng):
    return f"{rng.randint(5, 22)}{rng.choice([':', ':', '.'])}{rng.choice(['00', '10', '15', '20', '30', '40', '45', '50'])}"


def date(rng):
    return rng.choice([f"{rng.randint(1, 28)} {rng.choice(MONTH)}", f"{rng.choice(MONTH)} {rng.randint(1, 28)}", f"{rng.randint(2019, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
                       rng.choice(DAY), f"the {rng.randint(4, 20)}th of {rng.choice(MONTH)}", f"the end of {rng.choice(MONTH)}"])


NUMBER = "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty".split()


def count(rng, low=2, high=90):
    return str(rng.randint(low, high)) if rng.random() < .7 else rng.choice(NUMBER[1:])


def duration(rng):
    return f"{count(rng)} {rng.choice(['minutes', 'hours', 'days', 'weeks', 'months', 'years', 'seconds'])}"


def often(rng):
    return rng.choice(["every day", "every week", "twice a week", "once a month", "every evening", f"every {count(rng)} days", f"every {count(rng)} hours", "every other day", "twice a day",
                       "three times a week", "every morning", "once a year", "every second week", f"every {rng.choice(DAY)}"])


def money(rng):
    n = rng.randint(3, 990) if rng.random() < .7 else rng.randint(10, 90) * 100
    return rng.choice([f"{n}", f"{n} euros", f"{n} dollars", f"{n}.{digits(rng, 2)}", f"{n} pounds", f"{n:,}"])


def measure(rng):
    n = rng.choice([str(rng.randint(2, 900)), f"{rng.randint(1, 30)}.{digits(rng, 1)}", count(rng)])
    return f"{n} {rng.choice(['kilos', 'grams', 'litres', 'metres', 'centimetres', 'millimetres', 'kilometres', 'watts', 'megabytes', 'gigabytes', 'degrees', 'percent', 'pages', 'millilitres'])}"


def phone(rng):
    return rng.choice([f"{digits(rng, 3)}-{digits(rng, 4)}", f"+{digits(rng, 2)} {digits(rng, 3)} {digits(rng, 6)}", f"0{digits(rng, 3)} {digits(rng, 6)}", f"0{digits(rng, 3)} {digits(rng, 3)} {digits(rng, 3)}"])


def path(rng):
    return rng.choice(["/etc/", "/srv/", "~/", "/var/lib/", "/opt/", "data/"]) + "/".join(rng.choice(CODEWORD) if rng.random() < .5 else name(rng).lower() for _ in range(rng.choice([1, 2]))) + rng.choice([".toml", ".conf", ".log", ".txt", "", ".db", ".json"])


def file(rng):
    stem = rng.choice([rng.choice(CODEWORD), name(rng).lower(), rng.choice(THING).replace(" ", "-"), rng.choice(CODEWORD) + "_" + digits(rng, rng.choice([1, 2, 4])), "IMG" + digits(rng, 4)])
    return rng.choice(["", "", "", rng.choice(CODEWORD) + "/"]) + stem + "." + rng.choice("txt md jpg png mp3 csv docx xlsx zip odt wav mp4 html".split())


def option(rng):
    return "--" + rng.choice(["no-", "", "", "with-"]) + rng.choice(CODEWORD + [name(rng).lower()])


def subject(rng):
    """A thing to have facts about."""
    r = rng.random()
    thing = rng.choice(rng.choice([THING, MACHINE, EVENT, PROGRAM, FOOD]))
    return f"{rng.choice(ADJ + COLOUR)} {thing}" if r < .25 else f"{name(rng).capitalize()} {thing}" if r < .35 else thing
