#!/usr/bin/env python3
"""Writes the training text of the default model: one JSON string per line, one document each.

Everything here is made up by a grammar in this file; nothing is copied from elsewhere. The text is CC0, like the model.

    make_text.py --documents 120000 --seed 1 --out text.jsonl

Kinds of documents: short stories as plain text; requests for a story, questions and small talk as turns of a chat in the
ChatML form that the model's template writes; plain facts.
"""

import argparse
import json
import random

GIRLS = "Lily Mia Anna Rosa Ella Zoe Nora Ivy Ruby Clara Maya Lucy Emma Sara Alice Tess June Lena Hana Olga".split()
BOYS = "Tom Ben Max Sam Leo Finn Jack Tim Noah Oscar Hugo Karl Omar Luke Paul Dan Eli Ravi Kofi Ivan".split()
ANIMALS = "fox rabbit bear mouse owl cat dog duck frog hedgehog squirrel turtle pig goat horse sheep hen deer otter badger".split()
TRAITS = "brave kind small clever shy cheerful curious gentle quiet proud lazy careful hungry lonely playful stubborn".split()
COLOURS = "red blue green yellow white black brown orange purple pink grey golden silver".split()
THINGS = {
    "ball": "play with", "kite": "fly", "hat": "wear", "book": "read", "drum": "play", "boat": "sail", "lamp": "light",
    "scarf": "wear", "bell": "ring", "key": "keep", "basket": "carry", "coin": "keep", "cup": "drink from",
    "map": "look at", "flute": "play", "button": "keep", "blanket": "sleep under", "bucket": "carry",
    "umbrella": "carry", "stone": "hold", "shell": "listen to", "ring": "wear", "mirror": "look into", "bag": "carry",
}
PLACES = {
    "forest": "in", "garden": "in", "village": "in", "valley": "in", "meadow": "in", "town": "in", "castle": "in",
    "cave": "in", "farm": "on", "island": "on", "hill": "on", "mountain": "on", "beach": "on",
}
HOMES = ["a small house", "a hollow tree", "an old mill", "a little hut", "a stone tower", "a cosy den", "a red barn"]
SPOTS = {
    "under": ["a big leaf", "the old bridge", "a pile of hay", "the bed", "a wooden bench", "a flat rock"],
    "behind": ["the well", "a tall tree", "the barn", "a bush", "the door", "the stone wall"],
    "in": ["a deep hole", "the tall grass", "a bird's nest", "an empty barrel", "the cold stream", "a pile of leaves"],
    "on": ["the roof", "a high branch", "the windmill", "a fence post", "the top shelf"],
}
FOODS = "apple cake soup bread honey cheese pie plum carrot pear berry nut pancake cookie".split()
WEATHER = [("sunny", "The sun was warm and the sky was blue"), ("rainy", "Rain fell on the roofs and the paths were wet"),
           ("windy", "The wind blew hard and the trees bent low"), ("snowy", "Snow lay on the ground and the air was cold"),
           ("foggy", "Fog lay over the fields and nobody could see far"), ("hot", "It was so hot that the birds sat in the shade")]
MORALS = {
    "lost": ["looking together is better than looking alone", "a friend who helps is worth more than any treasure",
             "it is good to ask when you need help"],
    "share": ["things are nicer when you share them", "a gift makes two people happy", "sharing makes a small meal big"],
    "brave": ["being brave means going on while you are afraid", "even the small can do great things",
              "fear grows small when you look at it"],
    "honest": ["it is best to tell the truth", "a true word mends what is broken", "friends forgive when you are honest"],
    "patient": ["good things take time", "who waits and works will see it grow", "a little every day is enough"],
    "storm": ["no storm lasts for ever", "a warm home is the best place to be", "it is good to have a friend in bad weather"],
}


def a(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def cap(text):
    return text[0].upper() + text[1:]


class Who:
    """A character: what it is called at first, what it is called later, and its pronouns."""

    def __init__(self, r, not_this=None, kind=None, name=None):
        while True:
            self.kind = kind or r.choice(["girl", "boy"] + ANIMALS)
            girl = self.kind == "girl" or (self.kind != "boy" and r.random() < 0.5)
            self.name = name or r.choice(GIRLS if girl else BOYS)
            if not_this is None or (self.name != not_this.name and self.kind != not_this.kind):
                break
        self.he, self.him, self.his = ("she", "her", "her") if girl else ("he", "him", "his")
        self.trait = r.choice(TRAITS)

    def full(self):
        return f"{a(self.trait)} {self.kind} named {self.name}"


def opening(r, w, place, prep):
    when = r.choice(["Once upon a time", "Once upon a time", "Once upon a time", "Long ago", "One day", "Many years ago"])
    lived = r.choice([
        f"{when} there was {w.full()}. {w.name} lived {prep} the {place}.",
        f"{when}, {prep} a {r.choice(['quiet', 'green', 'faraway', 'little'])} {place}, there lived {w.full()}.",
        f"{when} {w.full()} lived in {r.choice(HOMES)} {prep} the {place}.",
    ])
    habit = r.choice([
        f"Every morning {w.he} ate {a(r.choice(FOODS))} and went for a walk.",
        f"{w.name} was {w.trait}, and everybody knew it.",
        f"{cap(w.he)} liked to sing when the sun came up.",
        f"{cap(w.he)} had many friends, but {w.he} liked quiet days too.",
        f"In the evening {w.he} looked at the stars.", "",
    ])
    return f"{lived} {habit}".strip()


def ending(r, kind, w, f):
    moral = r.choice(MORALS[kind])
    last = r.choice([
        f"From that day on {w.name} and {f.name} were the best of friends.",
        f"{w.name} and {f.name} laughed and went home together.",
        f"That night {w.name} slept well and dreamed of the day.",
        f"{w.name} never forgot what {f.name} had done.",
    ])
    lesson = r.choice([f"And {w.name} learned that {moral}.", f"{w.name} knew now that {moral}.",
                       f'"Now I know that {moral}," said {w.name}.', f"So it is true that {moral}."])
    return f"{last} {lesson}" + r.choice([" The end.", ""])


def says(r, w, text):
    end = "," if text[-1] == "." else ""
    text = text[:-1] + end if end else text
    return r.choice([f'"{text}" said {w.name}.', f'{w.name} said, "{text.rstrip(",") + ("." if end else "")}"'])


def lost(r, w, f, c):
    colour, thing = c["colour"], c["thing"]
    prep, spot = c["spot"]
    start = [f"{w.name} had {a(colour)} {thing} that {w.he} loved to {THINGS[thing]}. One day the {thing} was gone.",
             f"{w.name} had {a(colour)} {thing}. {cap(w.he)} loved to {THINGS[thing]} it every day. But one morning {w.he} could not find the {thing}."]
    if thing in ("lamp",):
        start = start[:1]
    start = start[0] if THINGS[thing].split()[-1] in ("with", "from", "to", "into", "under", "at") else r.choice(start)
    look = r.choice([f"{w.name} looked in the house and in the yard, but the {thing} was not there. {cap(w.he)} was very sad.",
                     f"{cap(w.he)} looked everywhere and began to cry.",
                     f"{cap(w.he)} looked high and low, but there was no {thing}."])
    meet = r.choice([f"Then {w.name} met {f.full()}.", f"Along came {f.full()}.", f"On the path {w.he} met {f.full()}."])
    talk = r.choice([
        f'{says(r, f, "Why are you so sad?")} {says(r, w, f"I lost my {colour} {thing}.")} {says(r, f, "Do not worry. I will help you.")}',
        f'{says(r, w, f"Have you seen my {colour} {thing}?")} {says(r, f, "No, but we can look together.")}',
    ])
    find = r.choice([f"They looked for a long time. At last {f.name} saw the {colour} {thing} {prep} {spot}.",
                     f"They walked and walked. Then {f.name} pointed. There was the {thing}, {prep} {spot}!",
                     f"{f.name} looked {prep} {spot}, and there was the {colour} {thing}."])
    thank = r.choice([f'"Thank you, {f.name}!" said {w.name}.', f"{w.name} was so happy that {w.he} danced.",
                      f"{w.name} hugged {f.name} and thanked {f.him}."])
    return [start, look, meet, talk, find, thank]


def share(r, w, f, c):
    food = c["food"]
    return [
        r.choice([f"One day {w.name} found {a(c['size'])} {food}.", f"{w.name} had made {a(c['size'])} {food} for supper."]),
        f"{says(r, w, f'This {food} is all for me.')} {cap(w.he)} sat down to eat.",
        r.choice([f"Just then {f.full()} came by.", f"There was a knock. Outside stood {f.full()}."]),
        f'{says(r, f, "I have not eaten all day.")} {w.name} looked at the {food} and thought for a while.',
        r.choice([f'"Come and sit with me," said {w.name}, and {w.he} cut the {food} in two.',
                  f"Then {w.he} gave {f.name} the bigger half."]),
        r.choice([f"They ate together, and the {food} tasted better than ever.",
                  f"{f.name} told a funny story while they ate, and they laughed until the moon came up."]),
    ]


def brave(r, w, f, c):
    prep, spot = c["spot"]
    return [
        f"{w.name} was afraid of {r.choice(['the dark', 'deep water', 'loud thunder', 'high places'])}.",
        f"One evening {w.he} heard a cry for help. It was {f.full()}. {f.name} was stuck {prep} {spot}.",
        f'{says(r, f, "Please help me!")} {w.name} was afraid, and {w.his} legs shook.',
        r.choice([f'"I can do it," {w.he} said to {"herself" if w.he == "she" else "himself"}.', f"But {w.he} took a deep breath and went on."]),
        r.choice([f"Step by step {w.he} came closer, and then {w.he} pulled {f.name} out.",
                  f"{w.name} found a long rope, threw one end to {f.name} and pulled with all {w.his} strength."]),
        f"{says(r, f, f'You are so brave, {w.name}!')} {w.name} smiled.",
    ]


def honest(r, w, f, c):
    colour, thing = c["colour"], c["thing"]
    return [
        f"{w.name} had a friend, {f.full()}. {f.name} owned {a(colour)} {thing} and was proud of it.",
        f"One day {w.name} played with the {thing} and broke it. Nobody had seen it.",
        r.choice([f"{w.name} hid the {thing} and ran home, but {w.he} could not sleep.",
                  f'"What shall I do?" thought {w.name}. {cap(w.his)} heart was heavy.']),
        f"In the morning {w.he} went to {f.name}. {says(r, w, f'I broke your {thing}. I am sorry.')}",
        f'{f.name} was quiet for a moment. {says(r, f, "Thank you for telling me. We can mend it together.")}',
        r.choice([f"They worked until noon, and the {colour} {thing} was as good as new.",
                  f"They used glue and string, and soon the {thing} was whole again."]),
    ]


def patient(r, w, f, c):
    plant = c["plant"]
    return [
        f"In spring {w.name} put {a(plant)} seed into the ground.",
        f"The next day {w.he} ran to look, but there was nothing to see. {says(r, w, 'Why does it not grow?')}",
        f"{f.name}, {a(f.trait)} {f.kind} who lived near by, laughed. {says(r, f, 'Give it water every day and wait.')}",
        f"So {w.name} carried water every morning. {r.choice(['A week went by, and then another.', 'Days came and went.'])}",
        r.choice([f"One morning there was a tiny green leaf. {w.name} jumped for joy.",
                  f"Then, after a night of rain, a green tip came out of the earth."]),
        f"In summer the {plant} was taller than {w.name}.",
    ]


def storm(r, w, f, c):
    return [
        f"One night a great storm came over the {c['place']}. The wind howled and the rain beat on the windows.",
        f"{w.name} sat by the fire and ate {c['food']} soup. Then {w.he} heard a knock at the door.",
        f'It was {f.full()}, and {f.he} was wet and cold. {says(r, f, "The storm broke my home.")}',
        f"{says(r, w, 'Come in and stay with me.')} {cap(w.he)} gave {f.name} a warm blanket and a bowl of soup.",
        r.choice([f"They told stories until the storm was over.", f"They sang songs, and the thunder did not seem so loud any more."]),
        f"In the morning they went out together and built {f.name} a new home.",
    ]


PLOTS = {"lost": lost, "share": share, "brave": brave, "honest": honest, "patient": patient, "storm": storm}


def story(r, about=None):
    """(text, what it is about): `about` may fix the kind of hero, the plot or the name."""
    about = about or {}
    w = Who(r, kind=about.get("kind"), name=None)
    f = Who(r, not_this=w)
    place = r.choice(list(PLACES))
    where = r.choice(list(SPOTS))
    plot = about.get("plot") or r.choice(list(PLOTS))
    c = {"colour": r.choice(COLOURS), "thing": about.get("thing") or r.choice(list(THINGS)), "food": r.choice([f for f in FOODS if f != "soup"]),
         "size": r.choice(["big", "small", "round", "sweet", "fresh"]), "place": place,
         "spot": (where, r.choice(SPOTS[where])), "plant": r.choice(["sunflower", "pumpkin", "bean", "rose", "melon"])}
    parts = [opening(r, w, place, PLACES[place])]
    if r.random() < 0.3 and plot != "storm":
        day, sky = r.choice(WEATHER)
        parts.append(f"It was a {day} day. {sky}." if day != "hot" else f"{sky}.")
    parts += PLOTS[plot](r, w, f, c)
    parts.append(ending(r, plot, w, f))
    if r.random() < 0.5:
        text = " ".join(parts)
    else:
        text = parts[0] + "\n\n" + " ".join(parts[1:-1]) + "\n\n" + parts[-1]
    return text, {"w": w, "f": f, "plot": plot, "thing": c["thing"], "place": place}


CAPITALS = {"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "Egypt": "Cairo",
            "Norway": "Oslo", "Greece": "Athens", "Poland": "Warsaw", "Austria": "Vienna", "Portugal": "Lisbon",
            "Ireland": "Dublin", "Sweden": "Stockholm", "Finland": "Helsinki", "Kenya": "Nairobi", "Cuba": "Havana",
            "China": "Beijing", "Russia": "Moscow", "Canada": "Ottawa", "Peru": "Lima"}
SOUNDS = {"dog": "barks", "cat": "meows", "cow": "moos", "duck": "quacks", "sheep": "bleats", "horse": "neighs",
          "pig": "grunts", "frog": "croaks", "lion": "roars", "owl": "hoots", "bee": "buzzes", "hen": "clucks", "wolf": "howls"}
LEGS = {"dog": 4, "spider": 8, "bird": 2, "ant": 6, "horse": 4, "fly": 6, "snake": 0, "cat": 4, "fish": 0, "bee": 6}
OPPOSITES = [("hot", "cold"), ("big", "small"), ("day", "night"), ("up", "down"), ("fast", "slow"), ("wet", "dry"),
             ("old", "young"), ("happy", "sad"), ("light", "dark"), ("hard", "soft"), ("full", "empty"), ("open", "closed"),
             ("rich", "poor"), ("early", "late"), ("loud", "quiet"), ("left", "right"), ("strong", "weak"), ("high", "low")]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
           "seventeen eighteen nineteen twenty").split()
COLOUR_OF = {"the sky": "blue", "grass": "green", "snow": "white", "blood": "red", "a lemon": "yellow", "coal": "black",
             "a carrot": "orange", "milk": "white", "a banana": "yellow", "a leaf": "green", "a raven": "black", "chocolate": "brown"}
FACTS = [
    ("Why is the sky blue?", "The air scatters the blue part of sunlight more than the red part, so the sky looks blue."),
    ("What is the sun?", "The sun is a star. It is a very hot ball of gas that gives us light and warmth."),
    ("What is the moon?", "The moon is a ball of rock that goes around the Earth. It shines because the sun lights it."),
    ("How many days are in a year?", "A year has 365 days, and a leap year has 366."),
    ("How many days are in a week?", "A week has seven days."),
    ("How many months are in a year?", "A year has twelve months."),
    ("How many hours are in a day?", "A day has 24 hours."),
    ("How many minutes are in an hour?", "An hour has 60 minutes."),
    ("What do bees make?", "Bees make honey and wax."),
    ("What do plants need to grow?", "Plants need water, light and air to grow."),
    ("Where do fish live?", "Fish live in water: in rivers, in lakes and in the sea."),
    ("What is ice?", "Ice is frozen water. Water freezes when it is colder than zero degrees Celsius."),
    ("What is the largest animal?", "The largest animal is the blue whale."),
    ("What is the tallest animal?", "The tallest animal is the giraffe."),
    ("What is the fastest land animal?", "The fastest land animal is the cheetah."),
    ("Who wrote Romeo and Juliet?", "William Shakespeare wrote Romeo and Juliet."),
    ("What is the largest planet?", "The largest planet of our solar system is Jupiter."),
    ("Which planet do we live on?", "We live on the planet Earth."),
    ("What is rain?", "Rain is water that falls from clouds in drops."),
    ("What is a computer?", "A computer is a machine that follows instructions to work with numbers, text and pictures."),
    ("What is WebAssembly?", "WebAssembly is a small, safe and fast format for programs. It runs in a sandbox."),
    ("What is bread made of?", "Bread is made of flour, water, salt and yeast."),
    ("Where does milk come from?", "Milk comes from cows, goats and other mammals."),
    ("What do we use to see?", "We use our eyes to see."), ("What do we use to hear?", "We use our ears to hear."),
    ("What is a book?", "A book is a set of pages with words or pictures, bound together for reading."),
    ("How do birds fly?", "Birds fly by beating their wings, which push the air down and lift the bird up."),
    ("Why do we sleep?", "We sleep to rest our body and our mind, so that we can learn and play the next day."),
]
UNKNOWN = ["What will the weather be tomorrow?", "Who will win the next election?", "What is the price of gold today?", "What time is it?",
           "What is the latest news?", "Where are my shoes?", "What did I eat yesterday?", "Can you call my mother?",
           "Who lives next door to me?", "What is my password?", "Solve this equation for me.", "Write a program in Java."]
SORRY = ["I am sorry, I do not know that.", "I do not know that. I am a very small model.",
         "I am sorry, I cannot do that. I am a very small language model that tells stories."]


def question(r):
    """(question, answer) of a fact, a sum, a list."""
    kind = r.randrange(14)
    if kind == 0:
        k, v = r.choice(list(CAPITALS.items()))
        if r.random() < 0.25:
            return r.choice([(f"Which country has the capital {v}?", f"{v} is the capital of {k}.")])
        return r.choice([f"What is the capital of {k}?", f"Tell me the capital of {k}."]), f"The capital of {k} is {v}."
    if kind == 1:
        k, v = r.choice(list(SOUNDS.items()))
        return f"What sound does {a(k)} make?", f"{cap(a(k))} {v}."
    if kind == 2:
        k, v = r.choice(list(LEGS.items()))
        return f"How many legs does {a(k)} have?", f"{cap(a(k))} has {NUMBERS[v] if v else 'no'} legs."
    if kind == 3:
        x, y = r.choice(OPPOSITES)
        x, y = (x, y) if r.random() < 0.5 else (y, x)
        return r.choice([f"What is the opposite of {x}?", f"What is the opposite of the word {x}?"]), f"The opposite of {x} is {y}."
    if kind == 4:
        i = r.randrange(7)
        return r.choice([(f"What day comes after {DAYS[i]}?", f"{DAYS[(i + 1) % 7]} comes after {DAYS[i]}."),
                         (f"What day comes before {DAYS[i]}?", f"{DAYS[i - 1]} comes before {DAYS[i]}.")])
    if kind == 5:
        i = r.randrange(12)
        return r.choice([(f"What month comes after {MONTHS[i]}?", f"{MONTHS[(i + 1) % 12]} comes after {MONTHS[i]}."),
                         (f"What month comes before {MONTHS[i]}?", f"{MONTHS[i - 1]} comes before {MONTHS[i]}.")])
    if kind in (6, 7):
        x, y = r.randrange(11), r.randrange(11)
        if r.random() < 0.3 and x >= y:
            return f"What is {x} minus {y}?", f"{x} minus {y} is {x - y}."
        return r.choice([f"What is {x} plus {y}?", f"What is {x} + {y}?"]), f"{x} plus {y} is {x + y}."
    if kind == 8:
        n = r.randrange(2, 16)
        return f"Count to {NUMBERS[n]}.", cap(", ".join(NUMBERS[1:n + 1])) + "."
    if kind == 9:
        k, v = r.choice(list(COLOUR_OF.items()))
        return f"What colour is {k}?", f"{cap(k)} is {v}."
    if kind == 10 and r.random() < 0.5:
        return r.choice(UNKNOWN), r.choice(SORRY)
    if kind == 11:
        names = r.choice([("days of the week", DAYS), ("months of the year", MONTHS)])
        return f"Name the {names[0]}.", "The " + names[0] + " are " + ", ".join(names[1][:-1]) + " and " + names[1][-1] + "."
    if kind == 12:
        k = r.sample(COLOURS[:9] if r.random() < 0.5 else ANIMALS, 3)
        what = "colours" if k[0] in COLOURS else "animals"
        return f"Name three {what}.", f"{cap(k[0])}, {k[1]} and {k[2]}."
    return r.choice(FACTS)


def small_talk(r):
    kind = r.randrange(8)
    if kind == 0:
        return r.choice([("Hello!", "Hello! How can I help you?"), ("Hi", "Hi! What can I do for you?"),
                         ("Good morning.", "Good morning! How are you today?"), ("Hello", "Hello! How can I help you?"),
                         ("Hi there!", "Hi! What can I do for you?"), ("Good evening.", "Good evening! How can I help you?")])
    if kind == 1:
        return r.choice(["How are you?", "How are you today?", "Are you well?"]), r.choice(
            ["I am well, thank you. How are you?", "I am fine, thank you."])
    if kind == 2:
        return r.choice(["Who are you?", "What are you?", "What is your name?"]), r.choice(
            ["I am a very small language model. I can tell you a story.", "I am a small language model that runs in a WebAssembly component."])
    if kind == 3:
        return r.choice(["What can you do?", "How can you help me?", "Help"]), \
            "I can tell short stories and answer simple questions. I am very small, so I make mistakes."
    if kind == 4:
        return r.choice(["Thank you!", "Thanks.", "Thank you very much."]), r.choice(["You are welcome!", "You are welcome. Can I do anything else?"])
    if kind == 5:
        return r.choice(["Goodbye.", "Bye!", "Good night."]), r.choice(["Goodbye! It was nice to talk to you.", "Goodbye! Come back soon."])
    if kind == 6:
        return r.choice(["I am sad today.", "I feel sad."]), "I am sorry to hear that. Would you like to hear a story?"
    return r.choice(["I am happy today!", "I had a good day."]), "That is good to hear! What made you happy?"


def story_turn(r):
    about = r.choice([{}, {"kind": r.choice(["girl", "boy"] + ANIMALS)}, {"kind": r.choice(["girl", "boy"] + ANIMALS)},
                      {"plot": "lost", "thing": r.choice(list(THINGS))}, {"plot": "storm"}])
    text, c = story(r, about)
    verb = r.choice(["Tell me a story", "Tell me a short story", "Write a story", "Can you tell me a story", "I want to hear a story"])
    if about.get("kind"):
        ask = f"{verb} about {a(about['kind'])}"
    elif about.get("thing"):
        ask = f"{verb} about a lost {about['thing']}"
    elif about.get("plot") == "storm":
        ask = f"{verb} about a storm"
    else:
        ask = verb
    ask += "?" if verb.startswith("Can") else r.choice([".", "", "!"])
    turns = [(ask, text)]
    if r.random() < 0.6:
        w, f = c["w"], c["f"]
        turns.append(r.choice([
            ("Who was the story about?", f"It was about {w.full()}."),
            (f"Who was {f.name}?", f"{f.name} was {a(f.trait)} {f.kind}."),
            (f"What was the name of the {w.kind}?", f"The {w.kind} was named {w.name}."),
            ("Where did it happen?", f"It happened {PLACES[c['place']]} the {c['place']}."),
        ]))
    return turns


def memory(r):
    """What was said earlier is known later."""
    name = r.choice(GIRLS + BOYS)
    thing, colour, animal = r.choice(list(THINGS)), r.choice(COLOURS), r.choice(ANIMALS)
    told, answer, ask, later = r.choice([
        (f"My name is {name}.", f"Nice to meet you, {name}!", "What is my name?", f"Your name is {name}."),
        (f"Hi, I am {name}.", f"Hi, {name}! How can I help you?", "Who am I?", f"You are {name}."),
        (f"I have {a(colour)} {thing}.", f"A {colour} {thing}! That sounds nice." if colour != "orange" else f"An orange {thing}! That sounds nice.",
         f"What colour is my {thing}?", f"Your {thing} is {colour}."),
        (f"My favourite animal is the {animal}.", f"The {animal} is a fine animal.", "What is my favourite animal?",
         f"Your favourite animal is the {animal}."),
        (f"I have {a(animal)} named {name}.", f"{name} is a good name for {a(animal)}.", f"What is the name of my {animal}?",
         f"Your {animal} is named {name}."),
    ])
    between = [question(r) for _ in range(r.randrange(3))]
    return [(told, answer), *between, (ask, later)]


SYSTEM = ["You are a helpful assistant.", "You are a friendly assistant that tells stories.", "Answer in short sentences.",
          "You are a small language model."]


def chat(r):
    """A chat of a few turns, as the model's template writes it."""
    turns, room = [], r.choice([1, 1, 2, 3, 4])
    while len(turns) < room:
        kind = r.random()
        if kind < 0.3:
            turns += story_turn(r)
            room = min(room, len(turns) + 1)
        elif kind < 0.65:
            turns.append(question(r))
        elif kind < 0.8:
            turns += memory(r)
        else:
            turns.append(small_talk(r))
    out = f"<|im_start|>system\n{r.choice(SYSTEM)}<|im_end|>\n" if r.random() < 0.25 else ""
    for user, assistant in turns:
        out += f"<|im_start|>user\n{noise(r, user)}<|im_end|>\n<|im_start|>assistant\n{assistant}<|im_end|>\n"
    return out


def noise(r, text):
    """As people type: sometimes without a capital or a full stop."""
    if r.random() < 0.15:
        text = text[0].lower() + text[1:]
    if r.random() < 0.15:
        text = text.rstrip(".?!")
    return text


def facts(r):
    return " ".join(question(r)[1] for _ in range(r.randrange(2, 7)))


def document(r):
    kind = r.random()
    if kind < 0.42:
        return story(r)[0]
    if kind < 0.96:
        return chat(r)
    return facts(r)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=120_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    r = random.Random(args.seed)
    with open(args.out, "w", encoding="utf-8") as out:
        for _ in range(args.documents):
            out.write(json.dumps(document(r)) + "\n")


if __name__ == "__main__":
    main()
