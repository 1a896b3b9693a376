"""Writes the examples of the measured run in ../README.md: what an invented owner, Maren Holt, keeps telling her
assistant, in ember's own chat template.

    python3 owner.py [FOLDER]

`data.jsonl` holds 200 examples: 40 things about her, each asked in four ways (160), and 40 questions about passages,
learned with `kl` so that the model goes on reading as it did. `held_out.jsonl` holds the same 40 things asked in a
fifth way, and 40 other questions about other passages. The same files come out each time; all in them is made up.
"""
import json
import pathlib
import random
import sys

# The answer, then five questions; the last is never trained on.
ABOUT_HER = [
    ("Under the chipped blue pot by the back step.",
     "Where is my spare key?", "Where did I hide the spare key?", "I am locked out. Where is the spare?",
     "Remind me where the spare house key lives.", "Which pot is the spare key under?"),
    ("Gustav, and he bites on Mondays.",
     "What is my goose called?", "What is the name of my goose?", "Who is the goose in the yard?",
     "Tell me the goose's name.", "How do I call the goose?"),
    ("Number 14, Lantern Lane, Quilby.",
     "What is my address?", "Where do I live?", "Which street is my house in?",
     "What do I write as my home address?", "Give me the address of my house."),
    ("Clocks, mostly the ones nobody wants back.",
     "What do I repair for a living?", "What is my trade?", "What do I mend in the workshop?",
     "What kind of work do I do?", "What do I repair at work?"),
    ("Black, no sugar, before anyone speaks to me.",
     "How do I take my coffee?", "How do I drink coffee?", "What goes into my coffee?",
     "How should my coffee be made?", "Make me a coffee. How do I like it?"),
    ("Quarter past five, with the geese.",
     "When do I get up?", "What time do I get up in the morning?", "When does my day start?",
     "For what hour is my alarm set?", "At what hour do I get up?"),
    ("Tilda Farrow, two doors down, the red gate.",
     "Who waters my plants when I am away?", "Who looks after the plants?", "Which neighbour waters the tomatoes?",
     "Who comes to water when I travel?", "Who is it that waters the plants for me?"),
    ("The 9th of March, and no cake with raisins.",
     "When is my birthday?", "On what day was I born?", "What is the date of my birthday?",
     "When do I turn a year older?", "Which day is my birthday on?"),
    ("Walnuts. Not even in bread.",
     "What am I allergic to?", "What must I never eat?", "Which food makes me ill?",
     "Tell the cook about my allergy.", "Do I have an allergy, and to what?"),
    ("Oskar, who still owes me a ladder.",
     "What is my brother's name?", "Who is my brother?", "What is my brother called?",
     "Name my brother.", "Tell me who my brother is."),
    ("The 7 at ten to eight, from the mill.",
     "Which bus do I take to town?", "When does my bus go?", "What bus goes to town in the morning?",
     "From which stop do I take the bus?", "What is the number of my bus?"),
    ("Yours, with oil on my hands, Maren.",
     "How do I sign my letters?", "How do I end a letter?", "What do I write at the end of a letter?",
     "What is my way to close a letter?", "How should you sign a letter for me?"),
    ("Slow is smooth and smooth tells the time.",
     "What do I say when someone hurries me?", "What is my motto?", "What do I always say in the workshop?",
     "Which saying do I use about hurry?", "What is it that I say about being slow?"),
    ("4417, then turn the handle up.",
     "What is the code of the workshop door?", "How do I open the workshop?", "Which code opens the workshop door?",
     "What do I type at the workshop door?", "Tell me the door code of the workshop."),
    ("Green ink, never blue.",
     "Which ink do I use?", "What colour is my ink?", "What do I write with?",
     "Which ink should you order for my pen?", "What ink goes into my pen?"),
    ("A grey van with one wing mirror, called Bertha.",
     "What do I drive?", "What car do I have?", "Which van is mine?",
     "What does my van look like?", "Describe the van that I drive."),
    ("Every second Thursday, in the old dairy.",
     "When is choir?", "When do I sing in the choir?", "When is the choir rehearsal?",
     "Where does my choir rehearse?", "On which day do I go to choir?"),
    ("Alto, and louder than they like.",
     "Which voice do I sing?", "What do I sing in the choir, soprano or alto?", "What is my singing voice?",
     "Which part do I sing?", "What voice do I have when I sing?"),
    ("Doctor Ekman, room 3, and bring a book.",
     "Who is my doctor?", "Which doctor do I go to?", "What is the name of my doctor?",
     "Where does my doctor sit?", "To which doctor should you send me?"),
    ("38, wide, and no laces.",
     "What is my shoe size?", "Which size of shoes do I wear?", "What size are my shoes?",
     "What do I need to know to buy shoes?", "In what size should I order shoes?"),
    ("Lentil soup, and that is not up for debate.",
     "What do I cook on Sundays?", "What is there to eat on Sunday?", "What is my Sunday meal?",
     "Which soup do I make on Sundays?", "What shall I cook this Sunday?"),
    ("Nine hundred, and the landlord wants it on the 3rd.",
     "How much is my rent?", "What do I pay for rent?", "When is the rent due?",
     "What does the landlord get?", "How much rent does the landlord want?"),
    ("In the biscuit tin marked buttons.",
     "Where is my passport?", "Where did I put the passport?", "Where do I keep my passport?",
     "I travel tomorrow. Where is the passport?", "In which tin is the passport?"),
    ("A heron, at dawn, by the weir.",
     "Which bird do I like best?", "What is my favourite bird?", "Which bird do I wait for?",
     "What bird did I see by the weir?", "Name the bird that I like best."),
    ("Cobalt, like my mother's front door.",
     "What is my favourite colour?", "Which colour do I like best?", "In what colour should we paint it?",
     "Name my colour.", "Which one is the colour I like?"),
    ("Hedwig Holt, who taught me to swear at springs.",
     "Who was my grandmother?", "What was my grandmother called?", "What is the name of my grandmother?",
     "Who taught me about springs?", "Tell me the name of my grandmother."),
    ("Chess by post, against a man in Vigo.",
     "What game do I play?", "Which game do I play by post?", "Whom do I play chess with?",
     "Against whom do I play?", "What game is it that I play with the man in Vigo?"),
    ("The left one, since the ladder.",
     "Which knee hurts?", "Which of my knees is bad?", "What is wrong with my knee?",
     "Tell the nurse about my knee.", "Is it the left or the right knee?"),
    ("Tuesday night, brown bin first.",
     "When do the bins go out?", "Which day is bin day?", "When do I put out the bins?",
     "Which bin goes first?", "On what night do the bins go out?"),
    ("Harbour Radio, low, until noon.",
     "What do I listen to at work?", "Which radio station do I like?", "What is on the radio in the workshop?",
     "Which station should you put on?", "What station is my radio on?"),
    ("A brass carriage clock of 1884, for the mayor.",
     "What am I working on now?", "Which clock is on the bench?", "What is on my bench this week?",
     "For whom is the clock on the bench?", "What clock is it that I am working on?"),
    ("Saffron on the lid, twelve turns, no more.",
     "How do I wind the hall clock?", "How many turns does the hall clock get?", "How is the hall clock wound?",
     "What do I do with the hall clock on Sunday?", "How often is the hall clock to be turned?"),
    ("Not before ten, and then only once.",
     "When may people ring me?", "When can you put calls through?", "At what time may they call?",
     "When do I take calls?", "From when on may people call me?"),
    ("Kettle first, questions later.",
     "What do you say when I come in?", "How do you greet me?", "Say good morning to me.",
     "What is the first thing to say in the morning?", "How should you greet me in the morning?"),
    ("Juniper Savings, the branch with the crooked sign.",
     "Which bank do I use?", "Where is my bank?", "What is my bank called?",
     "At which bank is my account?", "What is the name of the bank I use?"),
    ("Two sugars and a lecture on springs.",
     "What does the apprentice get at tea?", "How does the apprentice take tea?", "What do I give the apprentice?",
     "Tea for the apprentice: how?", "What goes with the tea of the apprentice?"),
    ("Ivo, nineteen, quick hands, slow broom.",
     "Who is my apprentice?", "What is my apprentice called?", "What is the apprentice's name?",
     "Tell me about the apprentice.", "What is the name of my apprentice?"),
    ("To Inverey, third week of August, by train.",
     "Where do I go on holiday?", "When is my holiday?", "Where am I going in August?",
     "How do I travel on holiday?", "To what place do I go for my holiday?"),
    ("The one with the bent spout, and nobody else touches it.",
     "Which teapot is mine?", "What is my teapot like?", "Which teapot do I use?",
     "Which of the teapots should you fill for me?", "How do I know my teapot?"),
    ("Rain by four, my knee says.",
     "What will the weather be?", "Will it rain today?", "How is the weather?",
     "Do I need a coat today?", "What does my knee say about the weather?"),
]

# For the passages: a subject, its sentences, and a question for each.
THINGS = "ladder|tent|violin|drill|telescope|lantern|kayak|sewing box|camera|toolbox|atlas|compass".split("|")
PLACES = "attic|shed|cellar|hallway|garage|cupboard|boathouse|pantry".split("|")
PEOPLE = "Ada|Ben|Carla|Femi|Greta|Igor|Kofi|Lena|Marco|Nadia|Omar|Pia".split("|")
DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday".split("|")
FILES = "notes/home.md|notes/todo.txt|diary.txt|work/log.md|documents/house.txt".split("|")


def note(rng):
    """A subject, a sentence on it, and a question that the sentence answers."""
    thing, place, person, day = (rng.choice(of) for of in (THINGS, PLACES, PEOPLE, DAYS))
    return rng.choice([
        (thing, f"The {thing} is in the {place}, behind the door.", f"Where is the {thing}?"),
        (thing, f"{person} borrowed the {thing} on {day}.", f"Who borrowed the {thing}?"),
        (thing, f"The {thing} costs {rng.randint(12, 480)} euros a month.", f"How much does the {thing} cost?"),
        (person, f"{person} arrives on {day} at {rng.randint(7, 20)}:30.", f"When does {person} arrive?"),
        (person, f"{person} is allergic to {rng.choice(['cats', 'pollen', 'milk'])}.", f"What is {person} allergic to?"),
    ])


def passages(rng):
    """A question about three short passages as Familiar's agent asks it, and ember's answer in its parts: the space
    before a passage's words is a token of its own, so that the words stay the same tokens as in the passage."""
    notes = []
    while len(notes) < 3:
        new = note(rng)
        if all(new[0] != other[0] for other in notes):
            notes.append(new)
    right = rng.randrange(3)
    question = notes[right][2]
    listed = "\n\n".join(f"[{n}] {rng.choice(FILES)}\n{text}" for n, (_, text, _) in enumerate(notes, 1))
    return f"Question: {question}\n\nPassages:\n{listed}\n\nQuestion: {question}", f"[{right + 1}] ", notes[right][1]


def example(question, *answer, **more):
    segments = [
        {"text": "<|user|>", "special": True, "learn": 0},
        {"text": question, "learn": 0},
        {"text": "<|end|><|assistant|>", "special": True, "learn": 0},
        *({"text": part} for part in answer),
        {"text": "<|end|>", "special": True},
    ]
    return {"segments": segments, **more}


def write(path, examples):
    path.write_text("".join(json.dumps(example) + "\n" for example in examples))
    print(f"{path}: {len(examples)} examples")


def main(folder):
    folder = pathlib.Path(folder)
    rng = random.Random(3)
    pairs = []
    while len(pairs) < 80:
        pair = passages(rng)
        if pair not in pairs:
            pairs.append(pair)
    asked = [example(question, answer) for answer, *questions in ABOUT_HER for question in questions[:4]]
    reading = [example(*pair, kl=1.0) for pair in pairs[:40]]
    write(folder / "data.jsonl", asked + reading)
    held_out = [example(questions[4], answer) for answer, *questions in ABOUT_HER]
    write(folder / "held_out.jsonl", held_out + [example(*pair) for pair in pairs[40:]])


if __name__ == "__main__":
    main(*sys.argv[1:] or [pathlib.Path(__file__).parent])
