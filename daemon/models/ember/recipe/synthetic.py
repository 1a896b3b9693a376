"""Makes up personal notes with known questions and answers, so that the model also works on notes and not only on
documentation. Everything is drawn at random from the lists below; names of places and people are invented.
"""
import dataclasses
import random

FIRST = "Ada Ben Carla Dev Elif Femi Greta Hana Igor Jun Kofi Lena Marco Nadia Omar Pia Quinn Rosa Sami Tara Uwe Vera Wim Yara Zoe Anna Paul Ines Noor Felix".split()
LAST = "Abbott Brandt Costa Diaz Ekman Fischer Garcia Huang Ito Jansen Khan Lopez Moreau Novak Okafor Patel Quist Rossi Silva Tanaka Weber Young".split()
COLOUR = "blue red green white black yellow grey wooden old small big metal glass round plastic brown striped".split()
PLACE = ["pot", "shelf", "drawer", "box", "cupboard", "toolbox", "garage", "cellar", "attic", "wardrobe", "desk", "bag", "jar", "basket", "shed", "safe", "hallway", "suitcase", "bookcase", "locker"]
THING = ["spare key", "garage key", "passport", "bike pump", "camping stove", "sewing kit", "router manual", "tax folder", "first aid kit", "photo album", "drill", "charger", "insurance policy", "birth certificate", "flashlight", "ladder", "old laptop", "backup disk", "tent", "violin", "warranty card", "car papers", "vaccination card", "winter tyres", "fuse box key", "paint", "mailbox key", "camera", "telescope", "rice cooker"]
PREP = ["under", "in", "behind", "inside", "on top of", "next to", "below"]
DAY = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTH = "January February March April May June July August September October November December".split()
SERVICE = ["dentist", "plumber", "landlord", "vet", "doctor", "accountant", "gardener", "electrician", "school", "pharmacy", "garage", "optician", "library", "bank", "hairdresser", "piano teacher", "neighbour", "babysitter"]
EVENT = ["team meeting", "parents' evening", "birthday party", "dentist appointment", "choir rehearsal", "budget review", "book club", "job interview", "car inspection", "swimming lesson", "design workshop", "house viewing", "yoga class", "board meeting", "flight home", "concert", "project kickoff", "moving day"]
CITY = "Avonlea Brightwater Cordoba Dunmore Elmstad Farrow Gent Harlow Inverey Juniper Kestrel Lund Marle Norwick Oslo Porto Quilby Riva Stanmore Turin Ulm Vigo Wexley Zadar".split()
FOOD = "pancakes lentil soup|apple cake|bread|tomato sauce|goulash|rice pudding|pizza dough|waffles|pea soup|curry|granola|lasagne|plum jam".split("|")
UNIT = ["g of flour", "ml of milk", "g of sugar", "g of butter", "eggs", "cups of rice", "tablespoons of oil", "g of lentils", "onions", "teaspoons of salt", "cloves of garlic"]
BILL = ["rent", "electricity", "gym membership", "phone contract", "car insurance", "internet", "water", "daycare", "train pass", "music lessons", "newspaper", "storage unit", "heating oil"]
WORD = "maple harbor falcon cedar copper tiger lemon river cobalt thunder velvet pepper walnut saturn meadow pixel orbit anchor garnet comet".split()
HOST = ["nas", "printer", "router", "backup server", "media box", "camera", "laptop", "raspberry pi", "thermostat", "office printer", "build server", "database", "test machine"]
ITEM = ["washing machine", "fridge", "boiler", "bicycle", "dishwasher", "laptop", "oven", "lawn mower", "sofa", "coffee machine", "vacuum cleaner", "TV", "dryer"]
PLANT = "tomatoes orchids ferns basil roses lemon tree cactus hydrangea ivy lavender peppers".split()
HEAD = ["Home", "Keys", "Todo", "Contacts", "2023", "2024", "2025", "Things", "Misc", "Family", "Work", "Money", "Garden", "IT", "Health", "Recipes", "Diary", "Ideas", "Plans"]
FILE = ["notes/home.md", "notes/todo.txt", "notes/family.md", "work/log.md", "diary.txt", "notes.md", "notes/it.md", "documents/house.txt", "inbox.org", "wiki/home.md", "notes/2024-11.md", "personal/misc.txt", "recipes.md", "notes/meetings.md"]


@dataclasses.dataclass
class Note:
    breadcrumb: str
    units: list          # the sentences or lines
    questions: list      # the questions of each unit
    kinds: list          # the kind of fact of each unit
    text: str = ""
    spans: list = None


def code(rng, n=None):
    return "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(n or rng.randint(5, 10)))


def digits(rng, n):
    return "".join(rng.choice("0123456789") for _ in range(n))


def fact(rng):
    """A kind, a subject, a sentence and the questions it answers."""
    r, c = rng.random, rng.choice
    kind = rng.randrange(16)
    person, when = c(FIRST), c([f"{c(DAY)} at {rng.randint(7, 21)}:{c(['00', '15', '30', '45'])}", f"{rng.randint(1, 28)} {c(MONTH)}", f"{c(MONTH)} {rng.randint(1, 28)}", f"{rng.randint(2019, 2027)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}", f"{c(DAY)}"])
    if kind == 0:
        x = c(THING)
        s = f"The {x} is {c(PREP)} the {c(COLOUR)} {c(PLACE)}" + c(["", f" in the {c(PLACE)}", f" at {person}'s place"])
        q = [f"where is the {x}", f"where did I put the {x}", f"{x} location", f"where can I find the {x}", f"where do we keep the {x}"]
    elif kind == 1:
        x = c(SERVICE)
        s = c([f"The {x}'s phone number is {digits(rng, 3)}-{digits(rng, 4)}", f"Phone number of the {x}: +{digits(rng, 2)} {digits(rng, 3)} {digits(rng, 6)}", f"Call the {x} on 0{digits(rng, 3)} {digits(rng, 6)}"])
        q = [f"what is the phone number of the {x}", f"{x} phone number", f"how can I call the {x}", f"what number do I call for the {x}"]
    elif kind == 2:
        x = c(EVENT)
        s = c([f"The {x} is on {when}", f"{x.capitalize()}: {when}, in {c(CITY)}", f"{person}'s {x} has moved to {when}", f"We have the {x} on {when} with {person}"])
        q = [f"when is the {x}", f"what day is the {x}", f"{x} date", f"when does the {x} take place", f"on which day is the {x}"]
    elif kind == 3:
        x = c(["guest", "office", "home", "workshop", "cafe", "cabin", "upstairs", "library"])
        s = c([f"The wifi password of the {x} network is {c(WORD)}-{c(WORD)}-{digits(rng, 2)}", f"Wifi {x}: network {c(WORD).title()}Net, password {c(WORD)}{digits(rng, 4)}"])
        q = [f"what is the {x} wifi password", f"{x} wifi password", f"what's the password for the {x} wifi", f"how do I get on the {x} wifi"]
    elif kind == 4:
        x = f"{person} {c(LAST)}" if r() < .5 else person
        s = c([f"{x}'s birthday is on {rng.randint(1, 28)} {c(MONTH)}", f"{x} was born on {rng.randint(1, 28)} {c(MONTH)} {rng.randint(1940, 2020)}", f"Birthday of {x}: {c(MONTH)} {rng.randint(1, 28)}"])
        q = [f"when is {x}'s birthday", f"when was {x} born", f"{x} birthday", f"what is the birthday of {x}"]
    elif kind == 5:
        x, u = c(FOOD), c(UNIT)
        s = c([f"For {x} we need {rng.randint(1, 500)} {u} and {rng.randint(1, 9)} {c(UNIT)}", f"The {x} bake for {rng.randint(8, 90)} minutes at {rng.randint(14, 25)}0 degrees", f"Put {rng.randint(1, 500)} {u} into the {x}"])
        q = [f"how long do the {x} bake", f"at what temperature do the {x} bake"] if "bake" in s else [f"what goes into the {x}", f"how much {u.split()[-1]} for {x}", f"what do I need for {x}", f"how many {u} for the {x}"]
    elif kind == 6:
        x = c(BILL)
        s = c([f"The {x} costs {rng.randint(5, 1900)} {c(['euros', 'dollars', 'pounds', 'EUR'])} a month", f"{x.capitalize()} is {rng.randint(5, 1900)}.{digits(rng, 2)} and due on the {rng.randint(1, 28)}th", f"We pay {rng.randint(5, 1900)} euros for the {x} every {c(['month', 'year', 'quarter'])}"])
        q = [f"how much is the {x}", f"what does the {x} cost", f"{x} cost", f"how much do we pay for the {x}"]
    elif kind == 7:
        x = c(HOST)
        s = c([f"The {x} has the address 192.168.{rng.randint(0, 20)}.{rng.randint(2, 254)}", f"The {x} listens on port {digits(rng, 4)}", f"Log in to the {x} with ssh {person.lower()}@{c(WORD)}.local -p {digits(rng, 4)}"])
        q = [f"what is the address of the {x}", f"{x} ip address", f"what IP does the {x} have"] if "address" in s else [f"which port does the {x} listen on", f"{x} port"] if "port" in s else [f"how do I log in to the {x}", f"how to ssh to the {x}"]
    elif kind == 8:
        x = c(ITEM)
        s = c([f"The serial number of the {x} is {code(rng)}", f"{x.capitalize()} bought on {when}, invoice {code(rng, 7)}", f"The warranty of the {x} ends in {c(MONTH)} {rng.randint(2024, 2030)}"])
        q = [f"what is the serial number of the {x}", f"{x} serial number"] if "serial" in s else [f"when did I buy the {x}", f"what is the invoice of the {x}", f"{x} invoice"] if "invoice" in s else [f"when does the warranty of the {x} end", f"how long is the {x} under warranty", f"{x} warranty"]
    elif kind == 9:
        y = c(CITY)
        x = f"{person} {c(LAST)}" if r() < .5 else person
        s = c([f"{x} lives in {y}, {rng.randint(1, 200)} {c(WORD).title()} Street", f"{x} moved to {y} in {rng.randint(1990, 2025)}", f"{x} works for {c(WORD).title()} {c(['Labs', 'Bank', 'Foods', 'Systems'])} in {y}"])
        q = [f"where does {x} live", f"what is the address of {x}", f"{x} address"] if "lives" in s else [f"where did {x} move to", f"when did {x} move"] if "moved" in s else [f"where does {x} work", f"who does {x} work for"]
    elif kind == 10:
        x = c(PLANT)
        s = c([f"Water the {x} every {rng.randint(2, 14)} days", f"The {x} need {c(['full sun', 'shade', 'little water', 'fresh soil in ' + c(MONTH)])}"])
        q = [f"how often should I water the {x}", f"when do the {x} need water", f"watering {x}"] if "Water" in s else [f"what do the {x} need", f"what care do the {x} need"]
    elif kind == 11:
        x = c(["alarm", "gate", "safe", "bike lock", "suitcase", "front door", "garage door", "SIM card", "locker"])
        s = c([f"The {x} code is {digits(rng, 4)}", f"Code for the {x}: {digits(rng, 4)}", f"To open the {x} enter {digits(rng, 4)} and press #"])
        q = [f"what is the code for the {x}", f"{x} code", f"how do I open the {x}", f"what is the {x} code"]
    elif kind == 12:
        x = c(["Falcon", "Maple", "Orbit", "Harbor", "Cobalt", "Saturn", "Meadow", "Garnet"])
        s = c([f"{person} is responsible for project {x}", f"The deadline of project {x} is {when}", f"The budget of project {x} is {rng.randint(2, 900)} thousand euros"])
        q = [f"who is responsible for {x}", f"who runs project {x}"] if "responsible" in s else [f"when is the deadline of {x}", f"what is the {x} deadline"] if "deadline" in s else [f"what is the budget of project {x}", f"how big is the {x} budget"]
    elif kind == 13:
        s = c([f"{person} is allergic to {c(['peanuts', 'cats', 'penicillin', 'shellfish', 'pollen', 'milk'])}", f"{person} takes size {rng.randint(34, 47)} in shoes", f"{person}'s favourite {c(['colour', 'book', 'cake', 'song'])} is {c(WORD)}"])
        q = [f"what is {person} allergic to", f"{person} allergy"] if "allergic" in s else [f"what shoe size does {person} have", f"{person} shoe size"] if "shoes" in s else [f"what is {person}'s favourite {s.split('favourite ')[1].split()[0]}"]
    elif kind == 14:
        x = c(["backup", "photo import", "report", "invoice export", "deploy", "sync", "cleanup", "index rebuild"])
        s = c([f"Run the {x} with ./{c(WORD)}.sh --{c(WORD)} /srv/{c(WORD)}/{c(WORD)}", f"The {x} runs every night at {rng.randint(0, 6)}:{digits(rng, 1)}0", f"The {x} writes to ~/{c(WORD)}/{c(WORD)}-{digits(rng, 3)}.log"])
        q = [f"how do I run the {x}", f"what is the command for the {x}"] if s.startswith("Run") else [f"when does the {x} run", f"what time is the {x}"] if "night" in s else [f"where does the {x} write its log", f"which file does the {x} write to"]
    else:
        a = c(LAST)
        s = c([f"Flight to {c(CITY)} leaves at {rng.randint(5, 23)}:{digits(rng, 1)}5 from gate {c('ABCDEF')}{rng.randint(1, 60)}, booking {code(rng, 6)}", f"Dr {a} is in room {rng.randint(1, 400)} on floor {rng.randint(1, 9)}", f"The train to {c(CITY)} goes from platform {rng.randint(1, 20)}"])
        dest = s.split(" to ")[1].split()[0] if " to " in s else a
        q = [f"when does the flight to {dest} leave", f"what is the gate of the {dest} flight", f"booking code for {dest}"] if s.startswith("Flight") else [f"which room is Dr {a} in", f"where do I find Dr {a}"] if s.startswith("Dr") else [f"which platform for the train to {dest}", f"where does the {dest} train leave"]
    return kind, s, q


FILLER = ["Remember to check this again next month.", "Ask at the desk if unsure.", "This changed recently.", "See the folder for details.", "All fine for now.", "Talked about it on the phone.", "No news since then.", "Bring a pen and some cash.", "It rained the whole afternoon.", "Good walk by the lake afterwards.", "Need to write this up properly."]


def note(rng):
    count = rng.choice([1, 1, 2, 3, 3, 4, 5])
    listed = rng.random() < 0.4
    units, questions, kinds = [], [], []
    for _ in range(count):
        kind, s, q = fact(rng)
        units.append(("- " if listed and rng.random() < .7 else "") + s + ("" if listed else "."))
        questions.append(q)
        kinds.append(kind)
        if not listed and rng.random() < .2:
            units.append(rng.choice(FILLER))
            questions.append([])
            kinds.append(-1)
    text, spans = "", []
    for u in units:
        if text:
            text += "\n" if listed else " "
        spans.append((len(text), len(text) + len(u)))
        text += u
    crumb = rng.choice(FILE) + (" > " + rng.choice(HEAD) if rng.random() < .8 else "")
    return Note(crumb, units, questions, kinds, text, spans)
