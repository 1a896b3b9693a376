"""Makes up tools as JSON Schema describes them, and requests that call for one of them with its arguments. Tools are put
together from verbs, objects and parameters, so that nearly every one is new; what is learned is to compare a request
with descriptions and to fill parameters by what they are called.
"""
import json
import re

import words as w

# name's verbs | description's verbs | request's verbs | objects; objects that one says in another way stand with a slash.
# tests/eval.rs holds every name and description that can come of this against those of the evaluation.
FAMILIES = """
play start | Plays;Starts playing | play;I want to hear;let me hear;put on;start | song|album|podcast|playlist/list|audiobook/book|lullaby|soundtrack|lecture recording | title volume?
add create make | Adds;Creates;Enters | add;create;enter;make;please note | event/date|appointment|birthday|note|reminder|task|contact|bookmark|entry|expense|habit|milestone|comment | title date? clock? note?
delete remove drop | Deletes;Removes | delete;remove;get rid of;throw away;I no longer need | event|appointment|note|reminder|task|contact|bookmark|backup|folder|account|draft|old report | title
send post write | Sends;Writes and sends | send;write;post | message|text message/text|fax|postcard|invitation|greeting|status report|chat message | recipient text subject?
mail forward email | Sends by mail;Forwards | mail;forward;email | document|contract|picture|statement|offer|timesheet|spreadsheet/sheet | file recipient
get show fetch read | Gets;Shows;Returns;Fetches | get;show me;what is;tell me;I need;what about | weather forecast/weather|temperature outside/temperature|sunrise|pollen count/pollen|traffic|rain radar/rain|population|time zone|holiday list/holidays|fuel price/petrol | place date?
get show check read | Reports;Gets;Tells | check;show;how is;what is;tell me | disk usage/disk space|memory usage/memory|battery level/battery|network speed|uptime|processor load/load|service state/service|certificate|queue length/queue | host
restart reload start stop | Restarts;Starts again;Stops | restart;reload;bounce;start again;stop | web server|database|mail server|scheduler|container|daemon|cluster|print queue|proxy | host force?
search find look_up | Searches;Finds;Looks for | search;find;look for;look up;where are | files|notes|mails/mail|pictures/pictures|contacts|articles|invoices|commits|songs|tickets in the tracker/tickets | query count?
read open load | Reads;Opens | read;open;show me;load | file|page|config file/configuration|log file/log|table|script|image|spreadsheet | path lines?
copy move sync | Copies;Moves | copy;move;bring;transfer | file|folder|backup|archive|directory|image | source_path target_path
convert change | Converts | convert;change;turn | video|image|sound file|document|spreadsheet|font | file format
resize scale crop | Changes the size of | resize;scale;make smaller | image|picture|video|thumbnail|screenshot | file width height?
translate | Translates | translate;how do you say;put | sentence|word|text|phrase|heading | quoted language
set change adjust | Sets;Changes | set;change;adjust;bring | heating/heating|thermostat|screen brightness/screen|speaker volume/volume|air conditioner|fan speed/fan|freezer temperature/freezer|water heater | room level
switch turn toggle | Switches;Turns | switch;turn;put | ceiling light/light|heater|television|fan|coffee maker|speaker|camera|garden light|radiator | room onoff
start set | Starts;Runs | start;set;run;begin;give me | timer|countdown|stopwatch|break|workout|meditation|focus session | number_minutes label?
book reserve | Books;Reserves | book;reserve;get us;I need | table|hotel room|meeting room|flight|taxi|car|ticket/seat|campsite | place date people?
cancel | Cancels | cancel;call off;we do not need | booking|reservation|order|flight|meeting|lesson|appointment|taxi | number_code
pay transfer | Pays;Transfers | pay;transfer;send | invoice|rent|deposit|fine|membership fee|bill | amount payee
route plan navigate | Plans;Finds;Shows | plan;find;show me;what is | route|bus connection|bicycle route|walk|flight connection|journey | origin destination mode?
calculate compute count | Calculates;Works out | calculate;work out;what is;tell me | interest|body mass index|tip|loan rate|area|average speed|tax | amount percent
measure compare | Compares | compare;which is better of | two files|two prices|two versions|two plans | first second
create draw make | Draws;Makes | draw;make;create;I want | chart|diagram|bar chart|poster|label|qr code|invoice form | title format
rate review tag label | Tags;Labels;Rates | tag;label;rate;mark | picture|song|film|article|recipe|mail | file tag
encrypt compress pack unpack sign | Packs;Compresses;Encrypts | compress;pack;zip;encrypt | folder|file|directory|backup|document | path level?
list show | Lists;Shows all | list;show;which are;what are | open orders/orders|running processes/processes|plugins|users|rooms|devices|open windows/windows|shops nearby/shops|upcoming concerts/concerts | kind? count?
define explain | Explains;Gives the meaning of | explain;what does;define;what is the meaning of | abbreviation|term|acronym|idiom|error code/error | quoted
schedule plan | Plans;Puts into the calendar | schedule;plan;arrange;fix | call|interview|visit|review|training|maintenance window/maintenance | person date clock
invite add_to share | Invites;Gives access to | invite;share;give access to;let in | calendar|folder|document|group|project|album | person title access?
take capture record | Takes;Records | take;record;capture;make | screenshot|picture|voice memo/memo|video|measurement | file? seconds?
check verify test | Checks;Tests | check;test;verify;is there a problem with | link|spelling/spelling|backup|password strength/password|connection|domain | target
subscribe follow watch | Follows;Watches | follow;watch;subscribe to;tell me of news of | feed|channel|price|share price/share|repository|auction | target often?
buy order | Orders;Buys | order;buy;get;I would like | pizza|flowers|book|train ticket|toner|medicine|coffee beans/coffee | quoted number size?
water feed clean | Starts;Runs | start;run;let it | washing programme/washing|dishwasher programme/dishes|irrigation|cleaning cycle/cleaning | number_minutes level?
roll pick draw choose | Picks;Rolls | roll;pick;draw;choose | dice|random number|card|winner|random colour | number
lock unlock open close | Locks or unlocks;Opens or closes | lock;unlock;open;close;is it shut: | front gate/gate|garage door|bicycle lock|shed|mailbox|car trunk/trunk|pool cover | open_closed number_minutes?
borrow lend renew return | Renews;Lends;Takes back | renew;lend;borrow;give back;keep longer | library book/book|magazine|museum pass|tool set|film reel/film | title date?
feed walk groom | Writes down when one fed;Plans a walk with | feed;walk;brush;go out with | dog|cat|hamster|pony|parrot|goldfish/fish | pet clock?
refuel charge check_in | Enters a stop to fill up;Writes into the log book of | fill up;log;enter for | car|van|motorbike|boat|tractor | amount place? litres?
diagnose inspect | Looks for faults of;Reads the error memory of | what is wrong with;check;find out about | engine|washing machine|drone|printer|solar inverter/inverter | number_code? host?
train coach exercise | Puts together exercises for;Plans training for | train;I want to work on;exercises for | back|marathon|balance|swimming|climbing | number_minutes level?
deploy release roll_out publish | Puts into production;Publishes | deploy;roll out;release;ship;publish | service|website|package|firmware|app | version host?
merge rebase branch | Merges;Opens | merge;open;bring together | branch|pull request|patch|feature flag/flag | target source?
mute silence hide snooze | Silences for a while;Hides | mute;silence;hide;leave me in peace from | notifications|group chat/chat|doorbell|thread|news alerts/news | number_minutes? person?
vote poll survey ask_all | Asks the members;Holds a vote | ask everybody;let us vote;hold a poll;put to the vote | poll|survey|ballot|opinion | quoted clock?
grade score assess | Gives marks for;Scores | grade;mark;score | essay|exam paper/exam|quiz|homework|presentation | person number
simulate predict forecast estimate | Estimates;Predicts | estimate;predict;how will be;what do you expect of | harvest|demand|visitor number/visitors|water level|sales|delivery time/delivery | place date?
brew mix prepare | Makes;Prepares | make;brew;prepare;mix me | tea|smoothie|cocktail|juice|hot chocolate | kind size? urgent?
park find_parking garage | Finds a place for;Reserves a place for | where can I park;park;a place for | car|camper|motorcycle|trailer|bicycle | place hours? covered?
donate give pledge | Gives money to;Passes on | donate;give;I would like to give | charity|animal shelter/shelter|food bank|fund|sports club/club | amount often?
photograph scan digitise | Scans;Makes a digital copy of | scan;digitise;make a copy of | receipt|passport|letter|drawing|negative | file format? colour?
renew extend prolong | Extends;Renews before it ends | renew;extend;prolong;do not let expire | contract|licence|membership|domain name/domain|visa|lease | date number_code?
hire recruit assign | Assigns;Gives a shift to | assign;put;give;let do | shift|ticket|job|task force/team|night duty/duty | person date?
report_lost claim complain | Reports the loss of;Files a claim for | I lost;report;claim for;complain about | lost luggage/suitcase|insurance damage/damage|stolen phone/phone|broken window/window|late delivery/delivery | place? date? urgent?
count_calories analyse weigh | Tells what is in;Works out how healthy is | how many calories has;analyse;what is in | meal|breakfast|snack|sandwich|salad | quoted grams?
guess quiz riddle play | Starts a round of;Asks questions in | play;let us play;start a round of | chess|quiz|hangman|crossword|solitaire | level people?
observe spot look_at | Tells when one can see;Shows the position of | when can I see;show me;where is | moon|planet|satellite|comet|northern lights | place date?
tide wave surf | Tells of the sea;Gets the water's state | how is;tell me;what are | tide table/tide|wave height/waves|water temperature|wind | place date? clock?
mint exchange trade sell | Sells;Trades | sell;trade;get rid of | share|stamp|ticket|used book/book|gold coin/coin | number amount?
iron fold mend sew | Plans the mending of;Books a tailor for | mend;sew;shorten;repair | trousers|curtain|jacket|tablecloth|zip | date? measure_cm?
sharpen grind drill cut | Runs the machine that cuts;Cuts to size | cut;saw;drill | board|pipe|metal sheet/sheet|fabric|cardboard | width height? number?
whisper announce broadcast | Says aloud in the rooms;Announces | announce;say;tell everybody;call through the house | announcement|dinner call/dinner|school notice/notice|page | text room?
""".strip().split("\n")

# key names | type | descriptions | ways to say it
PARAMS = {
    "title": (["title", "name", "subject", "what"], "string", ["Title", "The name", "What it is called", "Name of it"], ["{v}", "called {v}", "named {v}", "with the title {v}"]),
    "label": (["label", "name"], "string", ["What it is for", "A name for it"], ["for {v}", "called {v}", "named {v}"]),
    "note": (["note", "details", "comment"], "string", ["More to remember", "Details"], ["with the note {v}", "note: {v}", "and add {v}"]),
    "text": (["text", "body", "content", "message"], "string", ["What to say", "The words", "Text to send"], [": {v}", "that says {v}", "saying {v}", "with the text {v}"]),
    "subject": (["subject", "topic"], "string", ["Subject line", "What it is about"], ["about {v}", "with the subject {v}"]),
    "recipient": (["to", "recipient", "person", "receiver", "address"], "string", ["Who gets it", "To whom it goes", "The receiver"], ["to {v}", "for {v}"]),
    "person": (["person", "who", "user", "member"], "string", ["The person", "With whom", "Name of the person"], ["with {v}", "for {v}"]),
    "payee": (["payee", "receiver", "to"], "string", ["Who gets the money", "The receiver"], ["to {v}", "for {v}"]),
    "place": (["city", "place", "location", "town", "where"], "string", ["In which town", "The place", "Name of the city", "Where"], ["in {v}", "for {v}", "at {v}", "around {v}"]),
    "origin": (["from", "origin", "start", "departure"], "string", ["Where it begins", "Starting point", "Departure"], ["from {v}"]),
    "destination": (["to", "destination", "goal", "arrival"], "string", ["Where it ends", "The goal", "Arrival"], ["to {v}"]),
    "date": (["date", "day", "when", "on"], "string", ["The day", "On which day", "Date"], ["on {v}", "for {v}"]),
    "clock": (["time", "hour", "at", "start_time"], "string", ["Time of day", "At what time", "When it begins"], ["at {v}", "starting at {v}"]),
    "host": (["host", "server", "machine", "device"], "string", ["Which machine", "Host name", "The device"], ["of {v}", "on {v}", "for {v}"]),
    "room": (["room", "where", "zone", "place"], "string", ["Which room", "The room", "In which room"], ["in the {v}"]),
    "query": (["query", "words", "q", "keyword", "text"], "string", ["What to look for", "Words to find", "Search words"], ["about {v}", "for {v}", "with {v}", "that mention {v}"]),
    "path": (["path", "file", "name", "location"], "string", ["Path", "Where it lies", "Path of the file"], ["{v}"]),
    "source_path": (["source", "from", "old_path"], "string", ["What to take", "Present path", "From where"], ["{v}", "from {v}"]),
    "target_path": (["target", "to", "new_path", "destination"], "string", ["Where to put it", "New path", "To where"], ["to {v}", "into {v}"]),
    "file": (["file", "name", "path", "input"], "string", ["Which file", "File name", "The file"], ["{v}"]),
    "format": (["format", "type", "output"], "enum", ["Kind of file", "Output format", "Format"], ["to {v}", "as {v}", "into {v}"]),
    "language": (["language", "lang", "target_language", "into"], "string", ["Language", "Into which language", "The target language"], ["into {v}", "in {v}", "to {v}"]),
    "quoted": (["text", "term", "word", "item", "what"], "string", ["The words", "What is meant", "Which one"], ["{v}", "\"{v}\""]),
    "level": (["level", "value", "percent", "strength"], "integer", ["How much, in percent", "New value", "Level"], ["to {v}", "to {v} percent", "at {v}"]),
    "percent": (["percent", "rate"], "number", ["Percent", "Rate in percent"], ["at {v} percent", "with {v} percent", "of {v} percent"]),
    "volume": (["volume", "loudness"], "integer", ["How loud", "Volume"], ["at volume {v}", "with volume {v}"]),
    "number_minutes": (["minutes", "duration", "length"], "integer", ["Minutes", "How many minutes", "Duration in minutes"], ["for {v} minutes", "of {v} minutes", "{v} minutes"]),
    "seconds": (["seconds", "duration", "length"], "integer", ["Seconds", "How many seconds"], ["for {v} seconds", "of {v} seconds"]),
    "width": (["width", "w", "pixels"], "integer", ["Width in pixels", "New width"], ["to {v} pixels", "to width {v}", "{v} pixels wide"]),
    "height": (["height", "h"], "integer", ["Height in pixels", "New height"], ["and height {v}", "{v} pixels high"]),
    "lines": (["lines", "count", "limit"], "integer", ["How many lines", "Lines to read"], ["the last {v} lines", "{v} lines", "only {v} lines"]),
    "count": (["count", "limit", "max", "n"], "integer", ["How many", "At most so many", "Number of results"], ["at most {v}", "only {v}", "the first {v}", "{v} of them"]),
    "number": (["number", "count", "quantity", "n"], "integer", ["How many", "Number", "Quantity"], ["{v} times", "{v} pieces", "{v} of them", "{v}"]),
    "people": (["people", "persons", "guests", "seats"], "integer", ["Number of persons", "For how many"], ["for {v} people", "for {v} persons", "for {v}"]),
    "amount": (["amount", "sum", "value"], "number", ["How much money", "The amount", "Sum"], ["{v} euros", "{v} dollars", "of {v}", "{v}"]),
    "number_code": (["number", "code", "reference", "id"], "string", ["Reference number", "Number of it", "The code"], ["{v}", "with the number {v}", "number {v}", "with reference {v}"]),
    "first": (["first", "a", "left"], "string", ["The first", "One of them"], ["{v}"]),
    "second": (["second", "b", "right"], "string", ["The second", "The other"], ["and {v}", "with {v}"]),
    "tag": (["tag", "label", "category"], "string", ["The tag", "Label"], ["as {v}", "with {v}"]),
    "target": (["target", "name", "item", "url"], "string", ["Which one", "What to look at", "Name"], ["{v}", "of {v}"]),
    "mode": (["mode", "means", "by"], "enum", ["Means of transport", "How to travel"], ["by {v}"]),
    "access": (["access", "right", "role"], "enum", ["What they may do", "Access right"], ["as {v}", "with {v} access"]),
    "kind": (["kind", "type", "state", "filter"], "enum", ["Which kind", "State", "Kind"], ["that are {v}", "only {v} ones"]),
    "size": (["size"], "enum", ["Size"], ["size {v}", "in {v}", "{v} size"]),
    "often": (["interval", "every", "frequency"], "enum", ["How often"], ["{v}", "and look {v}"]),
    "onoff": (["state", "power", "on"], "enum", ["Whether it is on", "New state", "On or off"], ["{v}"]),
    "urgent": (["urgent", "important", "priority", "express"], "boolean", ["Whether it is urgent", "To be done first", "Quick and dear"], ["urgently", "it is urgent", "as fast as possible", "top priority"]),
    "covered": (["covered", "indoors", "roof"], "boolean", ["Under a roof", "Only with a roof"], ["under a roof", "indoors", "with a roof"]),
    "colour": (["colour", "in_colour"], "boolean", ["Keep colours", "In colour"], ["in colour", "with colours"]),
    "open_closed": (["state", "action", "position"], "enum", ["Open or closed", "What to do", "New state"], ["{v}", "to {v}", "- {v}"]),
    "pet": (["pet", "name", "animal"], "string", ["Name of the animal", "Which pet", "The animal"], ["{v}", "called {v}", "named {v}"]),
    "litres": (["litres", "volume", "quantity"], "number", ["How many litres", "Litres"], ["{v} litres", "with {v} litres"]),
    "grams": (["grams", "weight", "portion"], "integer", ["Weight in grams", "Grams"], ["{v} grams", "of {v} grams"]),
    "hours": (["hours", "duration", "how_long"], "integer", ["For how many hours", "Hours"], ["for {v} hours", "{v} hours"]),
    "measure_cm": (["centimetres", "length", "cm"], "integer", ["Length in centimetres", "By how much"], ["by {v} centimetres", "to {v} cm", "{v} centimetres"]),
    "version": (["version", "tag", "release"], "string", ["Which version", "Version number", "Tag"], ["version {v}", "in version {v}", "{v}"]),
    "source": (["source", "from", "base"], "string", ["Where it comes from", "The source"], ["from {v}", "of {v}"]),
    "force": (["force", "now", "hard"], "boolean", ["Without waiting", "Even if it is in use"], ["by force", "right now by force"]),
}
ENUMS = {
    "format": ["png jpg webp", "pdf html docx", "mp3 wav ogg", "csv json xml", "mp4 webm gif", "svg png pdf"], "mode": ["car train bicycle", "bus tram walk", "train plane ship"],
    "access": ["reader writer", "viewer editor owner", "guest member admin"], "kind": ["open closed", "active paused failed", "new done late", "public private", "free busy"],
    "size": ["small medium large", "S M L XL"], "often": ["hourly daily weekly", "daily weekly monthly"], "onoff": ["on off"], "open_closed": ["open closed", "open close", "locked unlocked", "up down"],
}
ROOMS = "living room|kitchen|bedroom|bathroom|hall|office|garage|kids room|upper floor|basement|sauna|winter garden|entrance|lounge|meeting room|server room".split("|")
LANGUAGES = "French German Spanish Italian Swedish Czech Turkish Greek Hindi Arabic Korean Latin Hungarian Japanese".split()
TITLES = """spring cleaning|dinner with friends|tax papers|new shoes|team photo|summer list|old invoices|blue moon|first steps|rent increase|call the bank|weekly report|night drive|
holiday pictures|project plan|shopping|gym|morning jazz|budget talk|quiet rain|reading list|house warming|lost keys|winter tyres|history of maps|piano practice|garden ideas|open questions""".replace("\n", "").split("|")
TEXTS = """I am late|see you soon|the meeting is moved|dinner is ready|please call me|thank you for the flowers|we are at the station|bring some bread|happy birthday|the parcel has come|
I will be there at noon|do not wait for me|all is well|the heating works again|can you pick me up|good luck""".replace("\n", "").split("|")
PREFIX = ["", "", "", "", "", "please ", "Please ", "can you ", "Could you ", "I want you to ", "would you ", "hey, ", "now "]
OPENING = ["I would like ", "we want ", "Is there ", "I still need ", "it is time for ", "what can you do about ", "we have to see to ", "time for ", "now for ", "do something about "]
SUFFIX = ["", "", "", "", "", " please", ", please", "?", ".", " for me", "!", ", thanks"]


def parsed():
    out = []
    for line in FAMILIES:
        names, told, asked, objects, params = (x.strip() for x in line.split(" | "))
        out.append((names.split(), told.split(";"), asked.split(";"), objects.split("|"), params.split()))
    return out


KINDS = parsed()


def value(rng, kind):
    """What is asked for, and how a request says it."""
    if kind in ("title", "label", "subject", "query", "note"):
        v = rng.choice(TITLES) if rng.random() < .6 else rng.choice([w.subject(rng), w.name(rng), rng.choice(w.EVENT)])
        if kind == "title" and rng.random() < .3:
            v = v.title()
    elif kind == "text":
        v = rng.choice(TEXTS)
    elif kind in ("recipient", "person", "payee"):
        v = w.person(rng) if rng.random() < .75 else f"{rng.choice(w.FIRST).lower()}@{w.name(rng).lower()}.org"
    elif kind in ("place", "origin", "destination"):
        v = w.place(rng)
    elif kind == "date":
        v = rng.choice([w.date(rng), rng.choice(["today", "tomorrow", "tonight", "next " + rng.choice(w.DAY)])]).removeprefix("the ")
    elif kind == "clock":
        v = w.clock(rng)
    elif kind == "pet":
        v = rng.choice([w.name(rng).capitalize(), rng.choice(w.FIRST), rng.choice(w.CODEWORD).capitalize()])
    elif kind == "litres":
        v = rng.choice([rng.randint(2, 90), rng.randint(20, 900) / 10])
    elif kind == "version":
        v = rng.choice([f"{rng.randint(0, 12)}.{rng.randint(0, 30)}", f"v{rng.randint(1, 9)}.{rng.randint(0, 9)}", f"{rng.randint(0, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 20)}"])
    elif kind == "source":
        v = rng.choice([rng.choice(w.CODEWORD), w.name(rng).lower(), rng.choice(w.CODEWORD) + "-" + w.digits(rng, 2)])
    elif kind == "host":
        v = rng.choice([w.name(rng).lower(), rng.choice(w.CODEWORD), rng.choice(["web", "db", "node", "mail"]) + "-" + w.digits(rng, 2)])
    elif kind == "room":
        v = rng.choice(ROOMS)
    elif kind in ("path", "source_path", "target_path"):
        v = w.path(rng) if rng.random() < .6 else w.file(rng)
    elif kind in ("file", "first", "second"):
        v = w.file(rng)
    elif kind == "language":
        v = rng.choice(LANGUAGES)
    elif kind == "quoted":
        v = rng.choice([w.name(rng), rng.choice(TITLES), rng.choice(w.THING), rng.choice(w.FOOD), rng.choice(TEXTS)])
    elif kind in ("tag", "target"):
        v = rng.choice([w.name(rng).lower(), rng.choice(w.CODEWORD), w.file(rng), w.name(rng).lower() + ".org"])
    elif kind == "number_code":
        v = w.code(rng)
    elif kind == "amount":
        v = rng.choice([rng.randint(2, 990), rng.randint(2, 90) * 10, round(rng.uniform(2, 400), 2), rng.randint(20, 900) / 10])
    elif kind == "percent":
        v = rng.choice([rng.randint(1, 60), rng.randint(1, 90) / 10])
    elif kind in ("width", "height"):
        v = rng.choice([320, 640, 800, 1024, 1200, 1920, rng.randint(50, 2000)])
    elif PARAMS[kind][1] == "integer":
        v = rng.choice([rng.randint(1, 12), rng.randint(2, 99), rng.randint(1, 20) * 5])
    else:
        v = None
    return v


def tool(rng, family=None):
    """A tool: its schema, and what is needed to ask for it."""
    names, told, asked, objects, params = family or rng.choice(KINDS)
    r = rng.random()
    obj, spoken = (rng.choice(objects).split("/") * 2)[:2]
    if r < .15:                                        # an object that nobody has heard of
        obj = spoken = w.name(rng).lower()
    verb = rng.choice(names)
    noun = obj.replace(" ", "_")
    name = rng.choice([f"{verb}_{noun}", f"{verb}_{noun}", f"{verb}_{noun}", f"{noun}_{verb}", f"{verb}-{noun}".replace("_", "-"), verb + obj.title().replace(" ", ""), noun])
    article = "" if obj.endswith("s") and " " not in obj or obj in ("weather forecast", "traffic") else rng.choice(["the ", "a ", "the "]) if rng.random() < .9 else ""
    if article == "a " and obj[0] in "aeiou":
        article = "an "
    tail = rng.choice(["", "", "", " of the owner", " on this machine", " by name", " at once", " for a person", " and says when it is done"])
    chosen, out, used = [], [], set()
    for p in params:
        must, kind = not p.endswith("?"), p.rstrip("?")
        if not must and rng.random() < .5:
            continue
        keys, typ, descriptions, _ = PARAMS[kind]
        key = rng.choice([k for k in keys if k not in used] or [kind])
        used.add(key)
        spec = {"type": "string" if typ == "enum" else typ}
        if typ == "enum":
            spec["enum"] = rng.choice(ENUMS[kind]).split()
        spec["description"] = rng.choice(descriptions)
        chosen.append((key, spec, must))
        out.append((kind, key, spec, must))
    if rng.random() < .2:
        rng.shuffle(chosen)
    schema = {"type": "object", "properties": {k: s for k, s, _ in chosen}, "required": [k for k, _, m in chosen if m]}
    return {"name": name, "description": f"{rng.choice(told)} {article}{obj}{tail}.", "parameters": schema, "object": obj, "spoken": spoken, "asked": asked, "params": out, "order": [k for k, _, _ in chosen]}


def request(rng, t):
    """A request for the tool: (text, {key: (value, start, end) or (value, None, None)}), where the span is the value's place in the text."""
    parts, values = [], {}
    for kind, key, spec, must in t["params"]:
        if not must and rng.random() < .5:
            continue
        if spec["type"] == "boolean":
            yes = rng.random() < .6
            said = key.replace("_", " ")
            if not yes and rng.random() < .5:
                values[key] = False
                continue
            parts.append((rng.choice(PARAMS[kind][3] + [said, f"it is {said}"]) if yes else rng.choice([f"not {said}", f"it is not {said}", f"but not {said}"]), None, key))
            values[key] = yes
            continue
        v = rng.choice(spec["enum"]) if "enum" in spec else value(rng, kind)
        values[key] = v
        parts.append((rng.choice(PARAMS[kind][3]), v, key))
    verb = rng.choice(t["asked"])
    obj = rng.choice(["the ", "the ", "a ", "my ", ""]) + (t["spoken"] if rng.random() < .7 else t["object"])
    r = rng.random()
    if r < .12:
        text = f"{t['spoken']}:" if rng.random() < .6 else t["spoken"]
    elif r < .3:
        text = rng.choice(OPENING) + obj
    else:
        text = rng.choice(PREFIX) + (verb if rng.random() < .97 else "") + " " + obj
    if len(parts) > 1 and rng.random() < .25:
        rng.shuffle(parts)
    spans, then = {}, None
    if parts and rng.random() < .15 and parts[0][1] is not None and parts[0][0][:1] not in ":-":
        text, then = "", text                          # what it is about comes last
    for form, v, key in parts:
        text += "" if form.startswith(":") or not text else rng.choice([" ", " ", " ", ", "])
        if then and spans:
            text, then = text + then + " ", None
        if v is None:
            text += form
            continue
        before, _, after = form.partition("{v}")
        shown = json.dumps(v) if not isinstance(v, str) else v
        spans[key] = (len(text) + len(before), len(text) + len(before) + len(shown))
        text += before + shown + after
    if then:
        text += rng.choice([" ", ", ", ": "]) + then
    text += rng.choice(SUFFIX)
    lead = len(text) - len(text.lstrip())
    text = text.strip()
    if rng.random() < .5:
        text = text[0].upper() + text[1:]
    return text, values, {k: (a - lead, b - lead) for k, (a, b) in spans.items()}


def offer(rng, count):
    """COUNT tools of different names and objects; now and then some share the verb or the object."""
    tools, names = [], set()
    family = rng.choice(KINDS) if rng.random() < .3 else None
    while len(tools) < count:
        t = tool(rng, family if family and rng.random() < .5 else None)
        words = set(re.findall(r"[a-z]+", t["object"].lower()))
        if t["name"] in names or any(words & set(re.findall(r"[a-z]+", o["object"].lower())) for o in tools):
            continue
        names.add(t["name"])
        tools.append(t)
    return tools
