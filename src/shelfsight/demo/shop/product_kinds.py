"""Names, prices and sizes of the kinds of product, and the names of the patterns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProductKind:
    """A kind of product: names in three languages, selling points, price in cents, and sizes."""

    english: str
    german: str
    french: str
    facts: str
    cents: int
    sizes: tuple[str, ...] = ()


_CLOTHES = ("S", "M", "L", "XL")
_FEET = ("36-38", "39-41", "42-44", "45-47")

PRODUCT_KINDS: dict[str, ProductKind] = {
    "mug": ProductKind("Mug", "Tasse", "Tasse", "Glazed ceramic, 330 ml, dishwasher safe", 1495),
    "bottle": ProductKind(
        "Steel Bottle",
        "Edelstahlflasche",
        "Gourde en acier",
        "Double-walled steel, 500 ml, cold for 24 hours",
        2490,
    ),
    "tumbler": ProductKind(
        "Travel Tumbler",
        "Trinkbecher",
        "Gobelet de voyage",
        "With lid and straw, 470 ml, free of BPA",
        1990,
    ),
    "plant-pot": ProductKind(
        "Plant Pot",
        "Blumentopf",
        "Pot de fleurs",
        "Terracotta with a drain hole, 14 cm across",
        1790,
    ),
    "lamp": ProductKind(
        "Table Lamp",
        "Tischlampe",
        "Lampe de table",
        "Fabric shade on a turned foot, E14, 42 cm high",
        4990,
    ),
    "bauble": ProductKind(
        "Christmas Bauble",
        "Weihnachtskugel",
        "Boule de Noël",
        "Hand-finished glass, 8 cm, comes in a gift box",
        990,
    ),
    "t-shirt": ProductKind(
        "T-Shirt",
        "T-Shirt",
        "Tee-shirt",
        "100% organic cotton, 180 g/m², printed on demand",
        2490,
        _CLOTHES,
    ),
    "hoodie": ProductKind(
        "Hoodie",
        "Kapuzenpullover",
        "Sweat à capuche",
        "80% cotton, 20% recycled polyester, brushed inside",
        4990,
        _CLOTHES,
    ),
    "dress": ProductKind(
        "Summer Dress",
        "Sommerkleid",
        "Robe d'été",
        "Light viscose, belt included, falls above the knee",
        5490,
        _CLOTHES,
    ),
    "bodysuit": ProductKind(
        "Baby Bodysuit",
        "Babybody",
        "Body pour bébé",
        "Soft jersey with snaps, washable at 60 degrees",
        1690,
        ("3M", "6M", "12M"),
    ),
    "apron": ProductKind(
        "Kitchen Apron",
        "Küchenschürze",
        "Tablier de cuisine",
        "Sturdy cotton twill with a split pocket",
        2290,
    ),
    "cap": ProductKind(
        "Baseball Cap",
        "Baseballkappe",
        "Casquette",
        "Six panels, adjustable strap, curved brim",
        1990,
    ),
    "beanie": ProductKind(
        "Bobble Hat",
        "Bommelmütze",
        "Bonnet à pompon",
        "Double-knit acrylic with a fluffy pompom",
        1890,
    ),
    "sneaker": ProductKind(
        "Canvas Sneaker",
        "Stoffturnschuh",
        "Basket en toile",
        "Canvas upper, rubber sole, cotton laces",
        5990,
        _FEET,
    ),
    "socks": ProductKind(
        "Crew Socks", "Socken", "Chaussettes", "Combed cotton with a padded heel", 990, _FEET
    ),
    "sandals": ProductKind(
        "Flip-Flops", "Zehensandalen", "Tongs", "Printed foam sole with a soft strap", 1590, _FEET
    ),
    "tote-bag": ProductKind(
        "Tote Bag", "Stofftasche", "Sac en toile", "Heavy cotton, long handles, carries 10 kg", 1490
    ),
    "backpack": ProductKind(
        "Backpack",
        "Rucksack",
        "Sac à dos",
        "18 litres, padded back, sleeve for a 15-inch laptop",
        4490,
    ),
    "pouch": ProductKind(
        "Zip Pouch", "Etui", "Trousse", "Lined canvas with a metal zip, 22 x 12 cm", 1290
    ),
    "umbrella": ProductKind(
        "Umbrella", "Regenschirm", "Parapluie", "Opens by itself, eight ribs, wooden handle", 2790
    ),
    "phone-case": ProductKind(
        "Phone Case",
        "Handyhülle",
        "Coque de téléphone",
        "Hard back, soft edges, works with wireless charging",
        1990,
    ),
    "poster": ProductKind(
        "Poster", "Poster", "Affiche", "Matte 200 g paper, 50 x 70 cm, frame included", 2990
    ),
    "cushion": ProductKind(
        "Cushion", "Kissen", "Coussin", "Faux suede with piping, 45 x 45 cm", 2390
    ),
    "clock": ProductKind(
        "Wall Clock", "Wanduhr", "Horloge murale", "Silent movement, 30 cm across", 3490
    ),
    "plate": ProductKind(
        "Dinner Plate", "Essteller", "Assiette", "Porcelain, 27 cm, safe in the oven", 1690
    ),
    "notebook": ProductKind(
        "Spiral Notebook",
        "Notizbuch",
        "Carnet à spirale",
        "140 dotted pages, A5, with an elastic band",
        1190,
    ),
    "skateboard": ProductKind(
        "Skateboard",
        "Skateboard",
        "Planche à roulettes",
        "Seven layers of maple, 31 x 8 inches",
        6990,
    ),
    "kite": ProductKind(
        "Kite", "Drachen", "Cerf-volant", "Ripstop nylon, for 2 to 5 Beaufort", 2190
    ),
}

PATTERN_NAMES: dict[str, str] = {
    "stripes": "Striped",
    "candy": "Candy Stripe",
    "dots": "Polka Dot",
    "gingham": "Gingham",
    "harlequin": "Argyle",
    "scales": "Japanese Wave",
    "ripples": "Wavy",
    "terrazzo": "Terrazzo",
    "chevrons": "Zigzag",
    "triangles": "Triangle Mosaic",
    "bauhaus": "Bauhaus",
    "camouflage": "Camouflage",
    "leopard": "Leopard",
    "tartan": "Tartan",
    "honeycomb": "Honeycomb",
    "confetti": "Memphis Confetti",
    "stars": "Starry",
    "herringbone": "Herringbone",
    "leaves": "Leafy",
    "cats": "Many Cats",
    "daisies": "Flower Power",
    "hearts": "Hearts",
    "citrus": "Citrus Slices",
    "fishes": "School of Fish",
    "mushrooms": "Toadstool",
    "paws": "Paw Print",
    "cherries": "Cherry",
    "cacti": "Cactus Garden",
    "bolts": "Lightning",
    "balloons": "Hot-Air Balloon",
    "mountains": "Mountain Range",
    "moons": "Moon & Stars",
    "rainbow": "Rainbow",
    "sunburst": "Sunburst",
    "skyline": "City Skyline",
    "sailing": "Sailing Boat",
    "whale": "Blue-Water Whale",
    "big-cat": "Cat Portrait",
    "fox": "Origami Fox",
    "planet": "Ringed Planet",
    "palms": "Palm Beach",
    "lighthouse": "Lighthouse",
    "rocket": "Rocket",
    "smiley": "Smiley",
    "target": "Bullseye",
    "spectacles": "Abstract Face",
    "hello": "Hello in Four Languages",
    "good-vibes": "Good Vibes",
    "coffee": "Coffee First",
    "number": "Varsity Number",
}
