"""Makes up personal notes and small manuals: facts about things, the sentences that tell them, and the questions that people
ask about them, in words of their own. A fact is one line of FACTS; all combinations of its parts are possible.
"""
import dataclasses
import re

import words as w

# kind of subject | value | sentences, parted by ";" | questions. {s} is the subject, {v} the value, {p} any person, {a} any place.
# tests/eval.rs holds these forms against those of the evaluation.
FACTS = """
thing | spot | The {s} is {v}; I put the {s} {v}; You will find the {s} {v}; We keep the {s} {v}; {s}: {v}; {p} left the {s} {v} | where is the {s}; where did I put the {s}; where do we keep the {s}; in what place can I find the {s}; {s} location; where has the {s} gone
service | phone | The number of the {s} is {v}; Call the {s} on {v}; {s}, phone: {v}; The {s} answers at {v} | what is the phone number of the {s}; what number do I call for the {s}; {s} phone number; how can I call the {s}; how do I reach the {s}
event | date | The {s} is on {v}; {s}: {v}, in {a}; {p} moved the {s} to {v}; We have the {s} on {v} with {p}; The {s} takes place on {v} | when is the {s}; what day is the {s}; {s} date; when does the {s} take place; what is the date of the {s}
event | clock | The {s} starts at {v}; The {s} begins at {v} sharp; {s} from {v} on; Be there at {v} for the {s} | at what time does the {s} begin; when does the {s} start; what time is the {s}; how early must I be at the {s}
event | place | The {s} is held in {v}; This time the {s} takes place in {v}; {p} will give the {s} in {v}; {s}: {v} | where is the {s} held; in which town is the {s}; where do I have to go for the {s}; {s} place
event | person | {v} organises the {s}; {v} is in charge of the {s}; The {s} is led by {v}; Ask {v} about the {s} | who organises the {s}; who is responsible for the {s}; whom do I ask about the {s}; who leads the {s}; which person runs the {s}
any | money | The {s} costs {v}; We paid {v} for the {s}; {p} wants {v} for the {s}; The price of the {s} is {v}; {s}: {v} a month; {v} is due for the {s} | how much is the {s}; what does the {s} cost; what did we pay for the {s}; {s} price; how expensive is the {s}; what is the bill for the {s}
machine | code | The serial number of the {s} is {v}; {s}, serial {v}; The label on the {s} says {v}; Model number of the {s}: {v} | what is the serial number of the {s}; which number is on the {s}; {s} serial number; what does the label on the {s} say
machine | date | The {s} was bought on {v}; We got the {s} on {v}; The warranty of the {s} ends on {v}; The {s} is covered until {v} | when did we buy the {s}; until when is the {s} under warranty; how long is the {s} covered; when did we get the {s}
machine | measure | The {s} weighs {v}; The {s} holds {v}; The {s} needs {v}; The {s} measures {v}; The {s} takes {v} at most | how heavy is the {s}; how much does the {s} hold; how much does the {s} need; how large is the {s}; what is the most that the {s} takes; what is the size of the {s}
machine | duration | The {s} runs for {v}; One cycle of the {s} takes {v}; The {s} switches off after {v}; Let the {s} cool for {v}; The {s} lasts {v} | how long does the {s} run; how long does one cycle of the {s} take; how soon does the {s} switch off; how much time does the {s} need
machine | often | Clean the {s} {v}; The {s} wants oil {v}; {p} checks the {s} {v}; The {s} must be emptied {v} | how often must the {s} be cleaned; how often should I look after the {s}; when does the {s} want cleaning; at what intervals is the {s} checked
machine | reason | The {s} stopped because {v}; The {s} failed as {v}; The {s} did not work because {v}; {p} returned the {s} because {v} | why did the {s} stop; what was the matter with the {s}; why was the {s} returned; for what reason did the {s} fail; what went wrong with the {s}
any | reason | We changed the {s} because {v}; The {s} was late because {v}; {p} was annoyed about the {s} because {v} | why was the {s} changed; why was there a problem with the {s}; what was the reason for the change of the {s}
any | person | The {s} belongs to {v}; {v} has the {s} at the moment; We lent the {s} to {v}; The {s} is from {v}; {v} gave us the {s} | whose is the {s}; who has the {s}; to whom does the {s} belong; who gave us the {s}; from whom is the {s}
person | date | {s} has a birthday on {v}; {s} was born on {v}; Birthday of {s}: {v}; {s} celebrates on {v} | when is the birthday of {s}; when was {s} born; {s} birthday; on which day does {s} celebrate
person | place | {s} lives in {v}; {s} moved to {v}; {s} works in {v} now; {s} comes from {v} | where does {s} live; in which town is {s}; where did {s} move to; where is {s} from; where can I find {s}
person | phone | You can reach {s} at {v}; The number of {s} is {v}; {s}: {v} | how can I reach {s}; what is the number of {s}; {s} phone; under which number does {s} answer
person | role | {s} is the {v}; {s} works as {v}; {s} was elected {v}; We know {s} as the {v} | what is the job of {s}; what does {s} do; what is {s}; as what does {s} work
person | thing | {s} borrowed the {v}; {s} brings the {v}; {s} asked for the {v}; {s} looks after the {v} | what did {s} borrow; what does {s} bring; what has {s} asked for; what does {s} look after
person | food | {s} likes {v} best; {s} wants {v} for dinner; {s} cannot eat {v}; {s} makes very good {v} | what does {s} like to eat; what can {s} not eat; which food is for {s}
food | measure | For the {s} take {v} of {i}; The {s} wants {v} of {i}; Put {v} of {i} into the {s} | how much {i} goes into the {s}; what quantity of {i} does the {s} want; how much {i} for the {s}
food | duration | The {s} bakes for {v}; Cook the {s} for {v}; The {s} must rest for {v}; Leave the {s} in the oven for {v} | how long does the {s} bake; how long must the {s} cook; for how long should the {s} rest; {s} time
food | degrees | The {s} is baked at {v}; Heat the oven to {v} for the {s}; {s}: {v} | at what temperature is the {s} baked; how hot must the oven be for the {s}; {s} temperature
program | path | The {s} reads its settings from {v}; The {s} writes to {v}; The log of the {s} is {v}; The {s} keeps its data in {v} | where are the settings of the {s}; which file does the {s} read; where does the {s} write to; where does the {s} keep its data; what is the log of the {s}
program | option | Start the {s} with {v} to see more; {v} makes the {s} quiet; Pass {v} to the {s} for a trial run; The {s} is faster with {v} | with which option do I start the {s}; which flag makes the {s} quiet; how do I make the {s} faster; what do I pass to the {s}
program | port | The {s} listens on port {v}; Port {v} belongs to the {s}; The {s} can be reached on port {v} | which port does the {s} listen on; on what port is the {s}; {s} port
program | clock | The {s} runs every night at {v}; The {s} starts at {v}; At {v} the {s} is run | when does the {s} run; at what time is the {s} started; what is the hour of the {s}
program | duration | The {s} waits for {v}; The {s} gives up after {v}; The {s} keeps files for {v}; An entry of the {s} expires after {v} | how long does the {s} wait; how soon does the {s} give up; how long are files kept by the {s}; when does an entry of the {s} expire
program | number | The {s} tries {v} times; The {s} allows {v} users; At most {v} jobs of the {s} run at once; The {s} keeps {v} copies | how many times does the {s} try; how many users are allowed by the {s}; how many jobs of the {s} may run; how many copies does the {s} keep
program | version | Since version {v} the {s} is stable; The {s} was broken by version {v}; Use the {s} in version {v} only | in which version did the {s} change; which version of the {s} should be used; since what version is the {s} stable
any | number | There are {v} people for the {s}; We need {v} chairs for the {s}; {v} of us use the {s}; The {s} has {v} parts | how many people are there for the {s}; how many chairs does the {s} need; how many parts has the {s}; how many of us use the {s}
thing | material | The {s} is made of {v}; The {s} is {v}; I want the {s} in {v} | what is the {s} made of; of which material is the {s}; in what material do I want the {s}
thing | colour | The {s} is {v}; We painted the {s} {v}; {p} chose {v} for the {s} | what colour is the {s}; which colour did we paint the {s}; in which colour is the {s}
lock | pin | The code of the {s} is {v}; Code for the {s}: {v}; To open the {s} enter {v}; {p} set the {s} to {v} | which code has the {s}; how do I open the {s}; {s} code; which number opens the {s}
account | secret | The password of the {s} is {v}; {s} password: {v}; Log in to the {s} with {v} | what is the password of the {s}; {s} password; with what do I log in to the {s}
account | user | The user name of the {s} is {v}; On the {s} we are called {v}; {s}, login {v} | which user name has the {s}; as whom do I log in to the {s}; what are we called on the {s}
plant | often | Water the {s} {v}; The {s} want water {v}; Feed the {s} {v} | how often do the {s} want water; when should the {s} be fed; how frequently do I water the {s}
rule | limit | {s} is allowed until {v}; {s} is forbidden after {v}; {s} must be done before {v} | until when is {s} allowed; when is {s} forbidden; when must {s} be done
rule | person | Only {v} may allow {s}; For {s} ask {v}; {v} decides about {s} | who may allow {s}; whom should I ask for {s}; who decides about {s}
project | date | The deadline of {s} is {v}; {s} must be done by {v}; We hand in {s} on {v} | what is the deadline of {s}; by when must {s} be done; when do we hand in {s}
project | money | The budget of {s} is {v}; {s} may cost {v}; We still have {v} for {s} | what is the budget of {s}; how much may {s} cost; how much money is left for {s}
project | person | {v} is responsible for {s}; {v} runs {s}; {s} was given to {v} | who is responsible for {s}; who runs {s}; to whom was {s} given
""".strip().split("\n")

SUBJECT = {
    "thing": lambda r: (r.choice(w.ADJ + w.COLOUR) + " " if r.random() < .3 else "") + r.choice(w.THING),
    "machine": lambda r: (w.name(r).capitalize() + " " if r.random() < .2 else "") + r.choice(w.MACHINE),
    "event": lambda r: r.choice(w.EVENT), "service": lambda r: r.choice(w.SERVICE), "any": w.subject, "person": w.person,
    "food": lambda r: r.choice(w.FOOD), "program": lambda r: r.choice(w.PROGRAM) if r.random() < .5 else w.name(r) + " " + r.choice(w.PROGRAM),
    "lock": lambda r: r.choice("alarm|gate|safe|bike lock|suitcase lock|front door|garage|SIM card|locker|key box|shutter".split("|")),
    "account": lambda r: r.choice(["guest network", "office network", "wiki", "shop account", "photo site", "bank account", "mail account", w.name(r) + " account", "test server", "old laptop", "intranet"]),
    "plant": lambda r: r.choice("tomatoes ferns basil roses cactuses hydrangeas ivy lavender peppers lilies mint tulips beans".split()),
    "rule": lambda r: r.choice("parking in the yard|playing music|using the lift|smoking outside|late checkout|free entry|swimming|working from home|printing in colour|changing rooms|taking photos|leaving early|feeding the ducks|riding bicycles".split("|")),
    "project": lambda r: "project " + r.choice([x.capitalize() for x in w.CODEWORD] + [w.name(r).capitalize()]),
}
VALUE = {
    "spot": lambda r: f"{r.choice(w.PREP)} the {r.choice(w.COLOUR + ['', '', '', ''])} {r.choice(w.PLACE)}".replace("  ", " ") + (f" at {w.person(r)}'s" if r.random() < .1 else ""),
    "phone": w.phone, "date": w.date, "clock": w.clock, "place": w.place, "person": w.person, "money": w.money, "code": w.code, "measure": w.measure, "duration": w.duration, "often": w.often,
    "reason": lambda r: r.choice(w.REASON), "role": lambda r: r.choice(w.ROLE), "thing": lambda r: r.choice(w.THING), "food": lambda r: r.choice(w.FOOD),
    "degrees": lambda r: f"{r.randint(3, 26)}0 degrees" if r.random() < .7 else f"{w.count(r)} degrees", "path": w.path, "option": w.option, "port": lambda r: w.digits(r, 4), "number": w.count,
    "version": lambda r: f"{r.randint(0, 12)}.{r.randint(0, 30)}" + (f".{r.randint(0, 9)}" if r.random() < .3 else ""), "material": lambda r: r.choice(w.MATERIAL), "colour": lambda r: r.choice(w.COLOUR),
    "pin": lambda r: w.digits(r, r.choice([3, 4, 4, 6])), "secret": lambda r: f"{r.choice(w.CODEWORD)}-{r.choice(w.CODEWORD)}-{w.digits(r, 2)}" if r.random() < .5 else r.choice(w.CODEWORD) + w.digits(r, 4),
    "user": lambda r: r.choice(["admin", r.choice(w.FIRST).lower(), w.name(r).lower(), r.choice(w.CODEWORD)]), "limit": lambda r: r.choice([w.clock(r), w.date(r)]),
}


def parsed():
    out = []
    for line in FACTS:
        subject, value, says, asks = (part.strip() for part in line.split(" | "))
        out.append((subject, value, [x.strip() for x in says.split(";")], [x.strip() for x in asks.split(";")]))
    return out


KINDS = parsed()
BY_SUBJECT = {}
for row in KINDS:
    BY_SUBJECT.setdefault(row[0], []).append(row)


@dataclasses.dataclass
class Fact:
    subject: str
    sentence: str
    questions: list          # as people ask it out of the blue
    follow: list             # the same after something was said about the subject
    kind: tuple = None       # the line of FACTS
    near: int = 0            # which question is nearest to the sentence

    def question(self, rng, follow=False):
        forms = self.follow if follow else self.questions
        return forms[self.near] if rng.random() < .6 else rng.choice(forms)


def first_up(text):
    return text[:1].upper() + text[1:]


def fact(rng, kind=None, subject=None):
    kind = kind or rng.choice(KINDS)
    subject = subject or SUBJECT[kind[0]](rng)
    value, ingredient = VALUE[kind[1]](rng), rng.choice(w.INGREDIENT)

    def fill(form, s):
        text = form.replace("{s}", s).replace("{v}", value).replace("{i}", ingredient)
        return text.replace("{p}", w.person(rng)).replace("{a}", w.place(rng)) if "{" in text else text

    said = rng.choice(kind[2])
    # Sentences and questions stand in the same order as far as they are about the same.
    near = min(kind[2].index(said), len(kind[3]) - 1)
    sentence = first_up(fill(said, subject))
    person = kind[0] == "person"
    plural = subject.endswith("s") and kind[0] in ("plant", "food")

    def pronoun(form):
        if form.startswith("{s}"):
            return "and the " + form.removeprefix("{s} ")
        it = rng.choice(["he", "she", "they"]) if person else "they" if plural else "it"
        them = {"he": "him", "she": "her", "they": "them"}.get(it, "it")
        out = form.replace("the {s}", "{s}")
        out = re.sub(r"\b(of|for|about|to|with|from|by|like|on|after|reach|find|at|in|open|paint|water|fed|buy|get|put|keep|leads|runs|organises|has|call|start|pass to) \{s\}", lambda m: f"{m.group(1)} {them}", out)
        return out.replace("{s}", it)

    asks = [fill(x, subject) for x in kind[3]]
    return Fact(subject, sentence, asks, [fill(pronoun(x), subject) for x in kind[3]], kind, near)


@dataclasses.dataclass
class Note:
    breadcrumb: str
    units: list          # the sentences or lines
    facts: list          # the fact of each unit, or None
    text: str = ""
    spans: list = None


def note(rng, subject_kind=None, kinds=None, about=None):
    """A note of a few facts: of one subject when ABOUT or KINDS are given, else mostly of several."""
    one = about is not None or rng.random() < .4
    facts = []
    if one:
        subject_kind = subject_kind or rng.choice(list(BY_SUBJECT))
        about = about or SUBJECT[subject_kind](rng)
        kinds = kinds or rng.sample(BY_SUBJECT[subject_kind], min(len(BY_SUBJECT[subject_kind]), rng.choice([2, 3, 3, 4])))
        facts = [fact(rng, k, about) for k in kinds]
    else:
        facts = [fact(rng) for _ in range(rng.choice([1, 2, 3, 3, 4, 5]))]
    listed = rng.random() < .3
    units, told = [], []
    for f in facts:
        units.append(("- " if listed and rng.random() < .7 else "") + f.sentence + ("" if listed else "."))
        told.append(f)
        if not listed and rng.random() < .2:
            units.append(rng.choice(w.FILLER))
            told.append(None)
    text, spans = "", []
    for u in units:
        if text:
            text += "\n" if listed else " "
        spans.append((len(text), len(text) + len(u)))
        text += u
    crumb = rng.choice(w.FILE)
    if one and rng.random() < .6:
        crumb += " > " + first_up(about)
    elif rng.random() < .7:
        crumb += " > " + rng.choice(w.HEAD)
    return Note(crumb, units, told, text, spans)
