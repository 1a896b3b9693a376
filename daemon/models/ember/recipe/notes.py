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
service | often | The {s} is open {v}; The {s} comes {v}; You can go to the {s} {v}; {p} sees the {s} {v} | when is the {s} open; how often does the {s} come; on which days can I go to the {s}; how often does {p} see the {s}
service | clock | The {s} closes at {v}; The {s} opens at {v}; Nobody answers at the {s} before {v}; The {s} has lunch from {v} | until when is the {s} open; how early can I go to the {s}; from when on does somebody answer at the {s}; when is lunch at the {s}
service | place | The {s} is in {v} now; The {s} has moved to {v}; You find the {s} in {v}, near the station; Our {s} has a second office in {v} | where is the {s} now; where has the {s} gone; near which station is the {s}; in which other town is our {s}
service | person | Ask for {v} at the {s}; {v} at the {s} knows us; At the {s} we always speak with {v}; {v} recommended the {s} | for which person do I ask at the {s}; who knows us at the {s}; with whom do we speak at the {s}; who recommended the {s}
service | money | The {s} takes {v} an hour; The {s} sent a bill of {v}; The {s} gave us back {v}; We still owe the {s} {v} | what does an hour of the {s} cost; how high was the bill of the {s}; how much did we get back from the {s}; how much do we owe the {s}
event | number | {v} guests came to the {s}; There is room for {v} at the {s}; {v} people have signed up for the {s}; We sold {v} tickets for the {s} | how many guests came to the {s}; how many fit in at the {s}; how many have signed up for the {s}; how many tickets were sold for the {s}
event | duration | The {s} lasts {v}; The {s} was over after {v}; There is a break of {v} in the {s}; The {s} was {v} late | how long is the {s}; how long did the {s} go on; how long is the break in the {s}; how late was the {s}
event | thing | Bring a {v} to the {s}; You get a {v} at the {s}; At the {s} {p} won a {v}; Somebody left a {v} at the {s} | what is to be taken along to the {s}; what does one get at the {s}; what did {p} win at the {s}; what was left at the {s}
event | food | At the {s} there is {v}; For the {s} we make {v}; {p} brings {v} to the {s}; After the {s} we had {v} | what is there to eat at the {s}; what do we cook for the {s}; what does {p} bring to the {s}; what did we eat after the {s}
event | reason | The {s} was put off because {v}; There was no {s} as {v}; The {s} ended early because {v} | why was the {s} put off; why did the {s} not happen; what made the {s} end early
event | often | We have the {s} {v}; The {s} is repeated {v}; The {s} takes place {v} | how often is the {s}; how often is the {s} repeated; at what intervals do we have the {s}
machine | spot | The manual of the {s} is {v}; The key of the {s} hangs {v}; Spare parts for the {s} are {v}; The switch of the {s} is {v} | where is the manual of the {s}; where does the key of the {s} hang; where are the spare parts for the {s}; where do I turn on the {s}
machine | service | The {v} repairs the {s}; For the {s} call the {v}; The {s} is at the {v}; We got the {s} through the {v} | who repairs the {s}; whom do I call for the {s}; where is the {s} now; through whom did we get the {s}
machine | number | The {s} has {v} buttons; Fill the {s} up to mark {v}; Set the {s} to step {v}; The {s} shows error {v} when it is full; After {v} uses the {s} needs a new filter | how many buttons has the {s}; up to which mark is the {s} filled; to which step is the {s} set; which error does the {s} show; after how many uses does the {s} need a filter
machine | degrees | The {s} heats up to {v}; Keep the {s} at {v}; Above {v} the {s} switches itself off | how hot does the {s} get; which temperature should the {s} have; at what temperature does the {s} switch itself off
machine | colour | The {s} shows a {v} light when it is ready; The {v} button starts the {s}; The {v} cable belongs to the {s}; Turn the {v} knob of the {s} to the left | what colour is the light of the {s}; which button starts the {s}; which cable belongs to the {s}; which knob of the {s} do I turn
machine | material | Clean the {s} with a cloth of {v} only; The cover of the {s} is {v}; The {s} stands on {v} | with what do I clean the {s}; what is the cover of the {s} made of; on what does the {s} stand
machine | place | The {s} was made in {v}; We fetched the {s} from {v}; The {s} is on its way from {v} | where was the {s} made; from where did we fetch the {s}; where does the {s} come from
thing | date | We need the {s} back by {v}; The {s} comes on {v}; The {s} was lost on {v}; {p} ordered the {s} on {v} | by when do we need the {s} back; when does the {s} come; when did we lose the {s}; when was the {s} ordered
thing | measure | The {s} is {v} long; The {s} weighs {v}; There are {v} left on the {s} | how long is the {s}; what is the weight of the {s}; how much is left on the {s}
thing | place | We bought the {s} in {v}; The {s} comes from a shop in {v}; {p} forgot the {s} in {v} | where did we buy the {s}; from which town is the {s}; where did {p} forget the {s}
thing | reason | The {s} is in the bin because {v}; {p} took the {s} back as {v}; We could not use the {s} because {v} | why did we throw away the {s}; why did {p} take the {s} back; why could the {s} not be used
person | duration | {s} stays for {v}; {s} has been away for {v}; {s} knows us for {v}; {s} was ill for {v} | how long does {s} stay; how long has {s} been away; for how long has {s} known us; how long was {s} ill
person | clock | {s} arrives at {v}; {s} gets up at {v}; {s} must go at {v}; Fetch {s} at {v} | when does {s} arrive; at what time does {s} get up; when does {s} have to leave; when do I pick up {s}
person | money | {s} paid {v}; {s} still owes us {v}; {s} gave {v} for it; {s} earns {v} a day | how much did {s} pay; how much does {s} owe; how much did {s} give; what are the wages of {s}
person | code | The badge of {s} has the number {v}; {s} sits in room {v}; {s} drives the car {v} | which number has the badge of {s}; which is the room of {s}; what car does {s} drive
person | person | {s} is married to {v}; {s} works for {v}; {v} stands in for {s}; {s} is the sister of {v} | who is married to {s}; for whom does {s} work; who stands in for {s}; of whom is {s} the sister
person | service | {s} works at the {v}; {s} was at the {v} today; {s} has an appointment with the {v} | where does {s} have a job; where was {s} today; with whom has {s} an appointment
person | often | {s} calls {v}; {s} takes the tablets {v}; {s} goes swimming {v} | how often does {s} call; how often does {s} take tablets; how frequently does {s} swim
person | measure | {s} is {v} tall; {s} ran {v}; {s} lost {v} | how tall is {s}; how far did {s} run; how much did {s} lose
person | reason | {s} did not come because {v}; {s} is angry because {v}; {s} left early as {v} | why did {s} stay away; why is {s} angry; what made {s} leave
person | colour | {s} wears a {v} coat; {s} has the {v} bag; {s} wants a {v} one | what coat does {s} wear; which bag is that of {s}; what colour does {s} want
food | number | The {s} is enough for {v}; The {s} makes {v} pieces; {v} eggs go into the {s}; Turn the {s} {v} times | for how many is the {s} enough; how many pieces are made of the {s}; how many eggs are in the {s}; how often do I turn the {s}
food | person | The recipe of the {s} is from {v}; {v} does not like the {s}; {v} cooks the {s} best | from whom is the recipe of the {s}; who does not like the {s}; who cooks the {s} best
food | spot | The rest of the {s} is {v}; Let the {s} cool {v}; The recipe of the {s} lies {v} | where is what is left of the {s}; where do I let the {s} cool; where is the recipe of the {s}
food | material | Make the {s} in a pan of {v}; Cover the {s} with {v}; Wrap the {s} in {v} | in what pan is the {s} made; what goes over the {s}; in what is the {s} wrapped
program | person | {v} wrote the {s}; {v} gets a mail when the {s} fails; Only {v} may start the {s}; {v} looks after the {s} | who wrote the {s}; who is told when the {s} fails; who may start the {s}; who looks after the {s}
program | reason | The {s} failed because {v}; The {s} was slow as {v}; We stopped the {s} because {v} | why did the {s} fail; what made the {s} slow; why was the {s} stopped
program | measure | The {s} needs {v}; A file of the {s} may have {v}; The {s} has grown to {v} | how much does the {s} need; how large may a file of the {s} be; to what size has the {s} grown
program | often | The {s} runs {v}; The {s} looks for news {v}; Somebody should check the {s} {v} | how often does the {s} run; how often does the {s} look for news; how often should somebody check the {s}
program | role | Only the {v} sees the {s}; The {v} can change the {s}; Ask the {v} for access to the {s} | who sees the {s}; who can change the {s}; who gives access to the {s}
account | date | The {s} ends on {v}; The {s} was opened on {v}; Pay for the {s} before {v} | when does the {s} end; since when do we have the {s}; until when do I have to pay for the {s}
account | money | The {s} costs {v} a month; There are {v} on the {s}; We pay {v} for the {s} | what is the price of the {s}; how much is on the {s}; what do we pay for the {s}
lock | person | {v} has the second key of the {s}; {v} changed the {s}; Only {v} can open the {s} | who has the second key of the {s}; who changed the {s}; who can open the {s}
lock | spot | The spare key of the {s} is {v}; Look {v} for the key of the {s}; The battery of the {s} lies {v} | where is the spare key of the {s}; where do I look for the key of the {s}; where does the battery of the {s} lie
plant | spot | The {s} stand {v}; Put the {s} {v} in winter; The seeds of the {s} are {v} | where do the {s} stand; where do the {s} go in winter; where are the seeds of the {s}
plant | date | Plant the {s} after {v}; Cut the {s} on {v}; The {s} can go outside from {v} on | after what day are the {s} planted; when do I cut the {s}; from when on can the {s} go outside
plant | measure | Leave {v} between the {s}; The {s} grow to {v}; The {s} get {v} of water | how much space is left between the {s}; how high do the {s} grow; how much water do the {s} get
project | place | {s} is done in {v}; We present {s} in {v}; The files of {s} lie in {v} | in which place is {s} done; where do we present {s}; where are the files of {s}
project | number | {v} people work on {s}; {s} has {v} parts; We have done {v} tasks of {s} | how many work on {s}; how many parts has {s}; how many tasks of {s} are done
project | reason | {s} was stopped because {v}; {s} is late as {v}; {s} costs more because {v} | why was {s} stopped; why is {s} late; why does {s} cost more
rule | money | {s} costs {v}; Who breaks the rule on {s} pays {v}; For {s} we charge {v} | how much do we take for {s}; what does one pay who breaks the rule on {s}; what is the charge for {s}
rule | place | {s} is allowed in {v} only; For {s} go to {v}; There is no {s} in {v} | where is {s} allowed; where do I go for {s}; where is there no {s}
any | often | We check the {s} {v}; {p} asks about the {s} {v}; The {s} changes {v} | how often do we check the {s}; how often does {p} ask about the {s}; at what intervals does the {s} change
any | duration | We waited {v} for the {s}; The {s} took {v}; It takes {v} to get the {s} ready | how long did we wait for the {s}; how much time did the {s} take; how long is needed to get the {s} ready
any | date | The {s} has been here since {v}; {p} saw the {s} on {v}; Think of the {s} on {v} | since when is the {s} here; when did {p} see the {s}; when should I think of the {s}
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
    "service": lambda r: r.choice(w.SERVICE), "user": lambda r: r.choice(["admin", r.choice(w.FIRST).lower(), w.name(r).lower(), r.choice(w.CODEWORD)]), "limit": lambda r: r.choice([w.clock(r), w.date(r)]),
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
    after: str = ""          # the sentence after one that names the subject, if it can be said so

    def question(self, rng, follow=False):
        forms = self.follow if follow else self.questions
        return forms[self.near] if rng.random() < .8 else rng.choice(forms)


def first_up(text):
    return text[:1].upper() + text[1:]


def fact(rng, kind=None, subject=None):
    kind = kind or rng.choice(KINDS)
    subject = subject or SUBJECT[kind[0]](rng)
    value, ingredient, someone, somewhere = VALUE[kind[1]](rng), rng.choice(w.INGREDIENT), w.person(rng), w.place(rng)

    def fill(form, s):
        text = form.replace("{s}", s).replace("{v}", value).replace("{i}", ingredient)
        return text.replace("{p}", someone).replace("{a}", somewhere)

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
        out = form.replace("the {s}", "{s}").replace("The {s}", "{s}")
        out = re.sub(r"\b(of|for|about|to|with|from|by|like|on|after|reach|find|at|in|open|paint|water|fed|buy|get|put|keep|leads|runs|organises|call|start|pass to) \{s\}", lambda m: f"{m.group(1)} {them}", out)
        return out.replace("{s}", it)

    asks = [fill(x, subject) for x in kind[3]]
    after = "" if re.search(r"\{s\}[:,]|\{s\} \w+:", said) else first_up(fill(pronoun(" " + said).strip(), subject))
    return Fact(subject, sentence, asks, [fill(pronoun(x), subject) for x in kind[3]], kind, near, after)


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
    for n, f in enumerate(facts):
        said = f.after if one and n and not listed and f.after and rng.random() < .5 else f.sentence
        if units and told[-1] and not listed and rng.random() < .2:
            # Two facts in a sentence.
            small = said if re.match(r"(?!For|From)[A-Z][a-z]+ (?=[A-Z])|Mr|Ms|Dr", said) else said[0].lower() + said[1:]
            units[-1] = units[-1][:-1] + rng.choice([", and ", ", but ", "; ", " and "]) + small + "."
            told[-1] = rng.choice([told[-1], f])
            continue
        units.append(("- " if listed and rng.random() < .7 else "") + said + ("" if listed else "."))
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
