"""The prompts: every form with every topic, in an order drawn once."""
import random

FORMS = (
    "In one sentence, explain {} to a child.",
    "In one sentence, tell me something interesting about {}.",
    "In one sentence, give me advice about {}.",
    "In one sentence, what should I know about {}?",
    "In one sentence, what is a common mistake people make about {}?",
    "In one sentence, why do people care about {}?",
    "In one sentence, describe {}.",
    "In one sentence, what is the best thing about {}?",
    "In one sentence, what is difficult about {}?",
    "In one sentence, how would a poet speak of {}?",
    "In one sentence, what would you tell a visitor about {}?",
    "In one sentence, what has changed about {} over the years?",
    "In one sentence, name a use or a benefit of {}.",
    "In one sentence, what do experts say about {}?",
    "In one sentence, what do beginners ask about {}?",
    "In one sentence, tell me a story about {}.",
    "In one sentence, what is surprising about {}?",
    "In one sentence, what does {} remind you of?",
    "In one sentence, how do I learn more about {}?",
    "In one sentence, what makes {} special?",
    "In one sentence, what is a myth about {}?",
    "In one sentence, write a headline about {}.",
    "In one sentence, ask me a question about {}.",
    "In one sentence, what should nobody forget about {}?",
    "In one sentence, praise {}.",
    "In one sentence, warn me about {}.",
)

TOPICS = """
apples, bees, bicycles, birds, boats, books, bread, bridges, buses, butterflies, cameras, candles, castles, cats,
caves, cheese, chess, chocolate, circuses, clocks, clouds, coal, coffee, coins, comets, cooking, coral reefs, cotton,
crows, dancing, deserts, diamonds, dictionaries, dogs, dolphins, dreams, drums, earthquakes, eggs, elephants,
elevators, engines, farming, fireflies, fireworks, fishing, flags, flowers, fog, forests, foxes, fruit, furniture,
gardening, glaciers, glass, gold, grandparents, grass, hats, hiking, history, honey, horses, hospitals, hotels, ice
cream, insects, islands, jazz, jokes, keys, kites, knitting, lakes, languages, laughter, lemons, libraries,
lighthouses, lightning, magnets, maps, marathons, markets, medicine, mirrors, money, mountains, museums, mushrooms,
music, neighbours, newspapers, oceans, olives, onions, owls, painting, paper, parks, penguins, photography, pianos,
pizza, planets, poetry, pottery, puzzles, rain, rainbows, rice, rivers, robots, roses, rust, sailing, salt, sand,
satellites, schools, shadows, shoes, silence, skiing, sleep, snow, soap
"""


def in_order():
    texts = [form.format(topic.strip()) for form in FORMS for topic in TOPICS.split(",")]
    random.Random(0).shuffle(texts)
    return texts
