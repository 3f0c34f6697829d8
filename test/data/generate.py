#!/usr/bin/env python3
"""generate.py - writes the made-up clinic that the demo and the tests load.

    python3 test/data/generate.py            write the CSV files beside it
    python3 test/data/generate.py --check    only compare; exit 1 if one differs
    python3 test/data/generate.py -o DIR     write to another directory

Nothing but Python 3's standard library is needed. The files depend on the
constant SEED alone: the same bytes come out on every machine. For that the
script draws only from random.Random(...).random(), the one sequence that
Python promises to keep from version to version, and gives each file its own
stream, so that a change to the patients does not move the catalog.

What is written, in the order in which to load it (foreign keys point up):

    clinics.csv           2     a large one and a small one, in two time zones
    professionals.csv     12    one of them inactive
    patients.csv          300   names in many scripts
    catalog_items.csv     40    one inactive, one that costs nothing
    catalog_sessions.csv        steps; their prices add up to the item's price
    plans.csv             400   drafts; some without a professional
    items.csv                   1 to 9 a plan

Conventions of the files: UTF-8 (NFC), header line, line ends in LF, an empty
field is NULL, no field contains a line end. Each is read by

    COPY txplan.TABLE (columns of the header)
      FROM STDIN WITH (FORMAT csv, HEADER)

Ids are UUIDs of version 7 with times on 2026-01-05, in ascending order within
a file. Teeth are numbered by ISO 3950. Telephone numbers come from ranges
that regulators keep for fiction (Ofcom, ARCEP, NANPA), mail addresses from
example.org (RFC 2606). No person is meant by any name.
"""

import argparse
import csv
import datetime
import io
import os
import random
import sys
import unicodedata
import uuid

SEED = 20260105
BASE = datetime.datetime(2026, 1, 5, tzinfo=datetime.timezone.utc)
TODAY = BASE.date()

PATIENTS, PLANS = 300, 400
SMALL_PATIENTS, SMALL_PLANS = 5, 7      # of those, at the small clinic

FILES = {
    "clinics": "id,name,time_zone,external_id",
    "professionals": "id,clinic_id,external_id,name,color,active",
    "patients": "id,clinic_id,external_id,first_name,last_name,birth_date,"
                "phone,email",
    "catalog_items": "id,clinic_id,code,name,category_key,price,active",
    "catalog_sessions": "id,clinic_id,catalog_item_id,sequence,label,price",
    "plans": "id,clinic_id,patient_id,professional_id,title,diagnosis_notes",
    "items": "id,clinic_id,plan_id,catalog_item_id,treatment_ref,tooth,"
             "surfaces,notes",
}


class Stream:
    """Random choices for one file, and that file's ids."""

    def __init__(self, name):
        self._next = random.Random("%d:%s" % (SEED, name)).random
        hour = list(FILES).index(name) + 6
        self._ms = int(BASE.timestamp() * 1000) + hour * 3600 * 1000

    def below(self, n):
        return int(self._next() * n)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def chance(self, p):
        return self._next() < p

    def pick(self, values):
        return values[self.below(len(values))]

    def weighted(self, pairs):
        """The value of one of the (value, whole weight) pairs."""
        left = self.below(sum(weight for _, weight in pairs))
        for value, weight in pairs:
            left -= weight
            if left < 0:
                return value

    def shuffled(self, values):
        values = list(values)
        for i in range(len(values) - 1, 0, -1):
            j = self.below(i + 1)
            values[i], values[j] = values[j], values[i]
        return values

    def bits(self, n):
        value = 0
        for _ in range(n):
            value = value * 2 + self.below(2)
        return value

    def id(self):
        """The next UUID version 7 (RFC 9562, 5.7), later than the last."""
        self._ms += self.between(40, 1500)
        return str(uuid.UUID(int=self._ms << 80 | 7 << 76 | self.bits(12) << 64
                             | 2 << 62 | self.bits(62)))


# ---------------------------------------------------------------------------
# Clinics and professionals
# ---------------------------------------------------------------------------

CLINICS = [
    ("Clínica Dental El Olmo", "Europe/Madrid", "clinic-olmo"),
    ("Consulta Dental Jacaranda", "Atlantic/Canary", "clinic-jacaranda"),
]

# clinic, name, colour, active, what they do
PROFESSIONALS = [
    (0, "Dra. Carmen Ibáñez Soler", "#1f77b4", True, "dentist"),
    (0, "Dr. Javier Echeverría Muñoz", "#ff7f0e", True, "dentist"),
    (0, "Dra. Zofia Wiśniewska", "#2ca02c", True, "dentist"),
    (0, "Dr. Νίκος Ανδρέου", "#d62728", True, "endodontist"),
    (0, "Dra. Begoña Núñez de la Peña", "#9467bd", True, "orthodontist"),
    (0, "Dr. Seán O'Brien", "#8c564b", True, "surgeon"),
    (0, "Dra. 佐藤 美咲", "#e377c2", True, "dentist"),
    (0, "Lucía Ferrer-Vidal (hygienist)", "#bcbd22", True, "hygienist"),
    (0, "Óscar Lledó (hygienist)", "#17becf", True, "hygienist"),
    (0, "Dr. Manuel Quiroga (retired)", "#7f7f7f", False, "dentist"),
    (1, "Dra. Yaiza Cabrera Betancor", "#1f77b4", True, "dentist"),
    (1, "Dr. Airam Déniz", "#ff9896", True, "dentist"),
]

# ---------------------------------------------------------------------------
# Patients: people's given and family names, (male, female) where they differ
# ---------------------------------------------------------------------------

SPANISH = (
    "Antonio José Álvaro Íñigo Joaquín Ángel Raúl Martín Andrés Sebastián "
    "Hugo Rubén Iván Óscar Tomás Adrián",
    "María Lucía Begoña Inés Sofía Mónica Concepción Ángela Rocío Macarena "
    "Nuria Noelia Ainhoa Elena Belén Verónica",
    "García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez "
    "Jiménez Ruiz Hernández Díaz Muñoz Álvarez Núñez Ibáñez Peña Castaño "
    "Agüero Zúñiga Etxeberria Puig Bustamante",
    None,
)

OTHERS = {
    "polish": (
        "Łukasz Paweł Michał Stanisław Wojciech Grzegorz Jędrzej Bartłomiej",
        "Małgorzata Agnieszka Zofia Żaneta Bożena Kinga Łucja Świętosława",
        "Kowalski Wiśniewski Dąbrowski Zieliński Szczęsny Wróbel Gołąb "
        "Brzęczyszczykiewicz",
        "Kowalska Wiśniewska Dąbrowska Zielińska Szczęsna Wróbel Gołąb "
        "Brzęczyszczykiewicz"),
    "greek": (
        "Γιώργος Κώστας Δημήτρης Νικόλαος Ιωάννης Σπύρος",
        "Μαρία Ελένη Κατερίνα Αικατερίνη Ζωή Ευαγγελία",
        "Παπαδόπουλος Βλάχος Αγγελόπουλος Νικολάου Γεωργίου Χατζής",
        "Παπαδοπούλου Βλάχου Αγγελοπούλου Νικολάου Γεωργίου Χατζή"),
    "cyrillic": (
        "Олександр Дмитро Андрій Йосип Алексей Фёдор Георги Ђорђе",
        "Олена Наталія Оксана Їванна Ольга Алёна Цветелина Љиљана",
        "Шевченко Ковальчук Бойко Іванов Соловьёв Щербаков Петров Ћирић",
        "Шевченко Ковальчук Бойко Іванова Соловьёва Щербакова Петрова Ћирић"),
    "arabic": (
        "محمد أحمد يوسف إبراهيم خالد عمر",
        "فاطمة عائشة مريم ليلى نور هدى",
        "الهاشمي العلوي بنعلي الحسن منصور القاسم حداد",
        None),
    "hebrew": (
        "דוד יוסף משה איתן נועם יצחק",
        "שרה רחל נועה תמר מרים יעל",
        "כהן לוי מזרחי פרץ ביטון אברהם שפירא",
        None),
    "chinese": (
        "伟 强 磊 建国 志明 浩然",
        "芳 娜 秀英 雨桐 静 丽华",
        "王 李 张 刘 陈 杨 欧阳 司马",
        None),
    "japanese": (
        "太郎 健一 翔太 蓮 大輔 ハルト",
        "花子 美咲 陽菜 さくら 恵子 あおい",
        "佐藤 鈴木 高橋 田中 渡邊 齋藤 小鳥遊",
        None),
    "korean": (
        "민준 서준 지훈 현우 영호 건",
        "서연 지은 민지 수빈 영희 솔",
        "김 이 박 최 정 오 남궁",
        None),
    "hindi": (
        "राम अर्जुन विक्रम संजय कृष्ण अनिल",
        "सीता प्रिया अंजलि लक्ष्मी सुनीता गीता",
        "शर्मा वर्मा सिंह गुप्ता मिश्रा चौधरी त्रिपाठी",
        None),
    "turkish": (
        "Mehmet İbrahim Işık Çağrı Oğuz Ümit Yiğit",
        "Ayşe Çiğdem Şule İpek Gülşen Özge Nağme",
        "Yılmaz Şahin Çelik Öztürk Yıldırım Kılıç Doğan Güneş Iğdır",
        None),
    "vietnamese": (
        "Minh|Đức|Quốc Bảo|Văn Hùng|Hữu Phước|Tuấn Kiệt",
        "Thị Hương|Ngọc Ánh|Thuỳ Dương|Mỹ Lệ|Thị Tuyết|Quỳnh Như",
        "Nguyễn Trần Phạm Huỳnh Võ Đặng Bùi Đỗ Hồ Dương",
        None),
}
PER_LANGUAGE = 14

# names that break programs: apostrophes, hyphens, spaces, particles, one
# letter, long ones, words that look like values
UNUSUAL = [
    ("Siobhán", "O'Brien"), ("Niall", "Ó Súilleabháin"),
    ("Chiara", "D’Angelo"), ("Jean-Pierre", "L'Hôpital"),
    ("Anne-Marie", "García-Núñez"), ("Mary-Kate", "Smith-Jones"),
    ("Pieter", "van 't Hoff"), ("Ursula", "von der Heide"),
    ("Zoë", "Brontë-Wood"), ("Jürgen", "Müller-Lüdenscheidt"),
    ("O", "Kim"), ("Thandar", "U"), ("E", "O"), ("Søren", "Ø"), ("Åsa", "Å"),
    ("Björk", "Þórsdóttir"), ("Lærke", "Sørensen"), ("Jiří", "Dvořák"),
    ("Nuñu", "N'Diaye"), ("Keala", "Keʻalohilani"),
    ("José María de los Ángeles", "Fernández de Córdoba y Ruiz de la Torre"),
    ("Jennifer", "Null"), ("True", "Nan"), ("สมชาย", "ใจดี"),
    ("გიორგი", "ბერიძე"), ("Արամ", "Պետրոսյան"),
]

NOT_DECOMPOSED = str.maketrans({
    "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "ı": "i",
    "æ": "ae", "þ": "th", "Þ": "Th", "ß": "ss",
})


def ascii_of(text):
    """The letters a-z of a name, or '' for one in another script."""
    plain = unicodedata.normalize("NFKD", text.translate(NOT_DECOMPOSED))
    return "".join(c for c in plain.lower() if "a" <= c <= "z")


def words(text):
    return text.split("|") if "|" in text else text.split()


def draw_names(rnd):
    """PATIENTS different (first, last) names in the order of registration."""
    taken = set(UNUSUAL)

    def draw(language, two_surnames):
        male, female, last, last_female = language
        while True:
            is_female = rnd.chance(0.5)
            first = rnd.pick(words(female if is_female else male))
            lasts = words(last_female if is_female and last_female else last)
            surname = rnd.pick(lasts)
            if two_surnames:
                surname += " " + rnd.pick(lasts)
                if rnd.chance(0.2):
                    first = "María" if is_female else "José"
                    first += " " + rnd.pick(words(female if is_female
                                                  else male))
            if (first, surname) not in taken:
                taken.add((first, surname))
                return first, surname

    names = list(UNUSUAL)
    for language in OTHERS.values():
        names += [draw(language, False) for _ in range(PER_LANGUAGE)]
    while len(names) < PATIENTS:
        names.append(draw(SPANISH, True))
    return rnd.shuffled(names)


def fictional_phone(n, rnd):
    """The n-th number, in E.164, of the ranges that no subscriber gets."""
    kind = rnd.below(4)
    if kind == 0:                       # Ofcom: mobile 07700 900000 to 900999
        return "+447700900%03d" % n
    if kind == 1:                       # Ofcom: London 020 7946 0000 to 0999
        return "+442079460%03d" % n
    if kind == 2:                       # ARCEP: mobile 06 39 98 xx xx
        return "+3363998%04d" % n
    area = (202, 312, 415)[n // 100]    # NANPA: 555-0100 to 555-0199
    return "+1%d55501%02d" % (area, n % 100)


def draw_birth_date(rnd):
    age = rnd.weighted([(0, 12), (1, 6), (2, 52), (3, 26), (4, 4)])
    low, high = [(4, 12), (13, 17), (18, 54), (55, 84), (85, 97)][age]
    days = rnd.between(low * 36525 // 100 + 1, (high + 1) * 36525 // 100 - 1)
    return TODAY - datetime.timedelta(days=days)


# ---------------------------------------------------------------------------
# Catalog. Prices are in cents here. TEETH says which teeth an item is for.
# ---------------------------------------------------------------------------

# code, name, category, cents, active, word for treatment_ref, teeth, surfaces
CATALOG = [
    ("DX-001", "First visit and examination", "diagnosis",
     0, True, "exam", None, None),
    ("DX-002", "Panoramic radiograph", "diagnosis",
     3500, True, "xray", None, None),
    ("DX-003", "Periapical radiograph", "diagnosis",
     1200, True, "xray", "any", None),
    ("DX-004", "Cone beam CT, one arch", "diagnosis",
     9000, True, "cbct", None, None),
    ("DX-005", "Orthodontic study: photographs, scan, cephalometry",
     "diagnosis", 12000, True, "study", None, None),
    ("PV-001", "Cleaning and polishing", "preventive",
     5900, True, "cleaning", None, None),
    ("PV-002", "Fluoride varnish", "preventive",
     3000, True, "fluoride", None, None),
    ("PV-003", "Fissure sealant", "preventive",
     3250, True, "sealant", "back", "sealant"),
    ("PV-004", "Oral hygiene instruction", "preventive",
     2500, True, "hygiene", None, None),
    ("RS-001", "Composite filling, one surface", "restorative",
     5500, True, "filling", "any", (1, 1)),
    ("RS-002", "Composite filling, two surfaces", "restorative",
     7000, True, "filling", "any", (2, 2)),
    ("RS-003", "Composite filling, three or more surfaces", "restorative",
     8550, True, "filling", "any", (3, 5)),
    ("RS-004", "Core build-up with fibre post", "restorative",
     12000, True, "core", "permanent", None),
    ("RS-005", "Ceramic inlay", "restorative",
     29000, True, "inlay", "back permanent", (2, 4)),
    ("RS-006", "Tooth whitening, in surgery and at home", "restorative",
     33000, True, "whitening", None, None),
    ("RS-007", "Silver amalgam filling (discontinued)", "restorative",
     4500, False, "filling", "back", (1, 2)),
    ("EN-001", "Root canal treatment, front tooth", "endodontics",
     16500, True, "root-canal", "front permanent", None),
    ("EN-002", "Root canal treatment, premolar", "endodontics",
     21500, True, "root-canal", "premolar", None),
    ("EN-003", "Root canal treatment, molar", "endodontics",
     28995, True, "root-canal", "molar", None),
    ("EN-004", "Root canal retreatment", "endodontics",
     34000, True, "root-canal", "permanent", None),
    ("EN-005", "Pulpotomy of a deciduous tooth", "endodontics",
     7500, True, "pulpotomy", "back deciduous", None),
    ("PR-001", "Metal-ceramic crown", "prosthetics",
     42000, True, "crown", "permanent", None),
    ("PR-002", "Zirconia crown", "prosthetics",
     52000, True, "crown", "permanent", None),
    ("PR-003", "Porcelain veneer", "prosthetics",
     39500, True, "veneer", "front permanent", "veneer"),
    ("PR-004", "Complete removable denture, one arch", "prosthetics",
     85000, True, "denture", None, None),
    ("PR-005", "Stainless steel crown for a deciduous molar", "prosthetics",
     11000, True, "crown", "back deciduous", None),
    ("PR-006", "Michigan splint", "prosthetics",
     28000, True, "splint", None, None),
    ("IM-001", "Titanium implant", "implants",
     95000, True, "implant", "implant", None),
    ("IM-002", "Crown on implant", "implants",
     64000, True, "implant-crown", "implant", None),
    ("IM-003", "Bone graft with membrane", "implants",
     48000, True, "graft", "implant", None),
    ("SU-001", "Simple extraction", "surgery",
     6000, True, "extraction", "any", None),
    ("SU-002", "Surgical extraction of a wisdom tooth", "surgery",
     14500, True, "extraction", "wisdom", None),
    ("OR-001", "Metal braces, both arches", "orthodontics",
     275000, True, "braces", None, None),
    ("OR-002", "Clear aligners, both arches", "orthodontics",
     349000, True, "aligners", None, None),
    ("OR-003", "Fixed retainer, one arch", "orthodontics",
     15000, True, "retainer", None, None),
    ("PE-001", "Scaling and root planing, four quadrants", "periodontics",
     28000, True, "scaling", None, None),
    ("PE-002", "Periodontal maintenance", "periodontics",
     8500, True, "maintenance", None, None),
]

# the small clinic's, in its own language, with codes of the large one's
SMALL_CATALOG = [
    ("PV-001", "Limpieza dental", "preventive",
     5500, True, "limpieza", None, None),
    ("RS-001", "Obturación de composite", "restorative",
     6000, True, "obturacion", "any", (1, 3)),
    ("PR-002", "Corona de zirconio", "prosthetics",
     50000, True, "corona", "permanent", None),
]

# Steps of a template: (label, cents).
TEMPLATES = [{
    "RS-006": [("Scan and trays", 9000), ("In-surgery session", 18000),
               ("Check after two weeks", 6000)],
    "EN-003": [("Opening and instrumentation", 12000),
               ("Irrigation and medication", 8000),
               ("Obturation and control radiograph", 8995)],
    "EN-004": [("Removal of the old filling", 17000),
               ("Instrumentation and medication", 9000), ("Obturation", 8000)],
    "PR-001": [("Preparation", 16000), ("Impression", 6000),
               ("Framework try-in", 8000), ("Cementation", 12000)],
    "PR-002": [("Preparation", 20000), ("Scan and provisional", 12000),
               ("Try-in", 8000), ("Cementation", 12000)],
    "PR-003": [("Design and mock-up", 10000), ("Preparation and scan", 14500),
               ("Bonding", 15000)],
    "PR-004": [("Primary impression", 17000), ("Functional impression", 17000),
               ("Bite registration", 17000), ("Tooth try-in", 17000),
               ("Delivery", 17000)],
    "IM-001": [("Planning and surgical guide", 15000),
               ("Implant placement", 65000), ("Second stage surgery", 15000)],
    "SU-002": [("Extraction", 14500), ("Removal of sutures", 0)],
    "OR-001": [("Bonding of brackets", 77000)]
              + [("Visit, month %d" % m, 18000) for m in range(1, 12)],
    "OR-002": [("Aligners, stage %d of 12" % s, 29083 + (s > 8))
               for s in range(1, 13)],
    "PE-001": [("Upper right quadrant", 7000), ("Upper left quadrant", 7000),
               ("Lower left quadrant", 7000), ("Lower right quadrant", 7000)],
}, {
    "PR-002": [("Tallado", 16667), ("Prueba", 16667), ("Cementado", 16666)],
}]


def money(cents):
    return "%d.%02d" % divmod(cents, 100)


# ---------------------------------------------------------------------------
# Teeth and surfaces (ISO 3950: first digit quadrant, second from the midline)
# ---------------------------------------------------------------------------

PERMANENT = [q * 10 + n for q in (1, 2, 3, 4) for n in range(1, 9)]
DECIDUOUS = [q * 10 + n for q in (5, 6, 7, 8) for n in range(1, 6)]

TEETH = {
    "any": lambda t: t % 10 < 8,
    "permanent": lambda t: t < 50 and t % 10 < 8,
    "front permanent": lambda t: t < 50 and t % 10 <= 3,
    "back": lambda t: 4 <= t % 10 < 8,
    "back permanent": lambda t: t < 50 and 4 <= t % 10 < 8,
    "back deciduous": lambda t: t > 50 and t % 10 >= 4,
    "premolar": lambda t: t < 50 and t % 10 in (4, 5),
    "molar": lambda t: t < 50 and t % 10 in (6, 7),
    "implant": lambda t: t < 50 and t % 10 < 8,
    "wisdom": lambda t: t < 50 and t % 10 == 8,
}


def teeth_at(age):
    """The teeth that a person of that age may have in the mouth."""
    if age < 6:
        return DECIDUOUS
    if age < 13:
        firsts = [t for t in PERMANENT if t % 10 in (1, 2, 6)]
        return firsts + [t for t in DECIDUOUS if t % 10 >= 3]
    if age < 17:
        return [t for t in PERMANENT if t % 10 < 8]
    return PERMANENT


def draw_surfaces(rnd, tooth, how):
    """Letters a dentist would write: M and D beside the biting surface (O in
    the back, I in front), then one towards the cheek or lip, one inwards."""
    back = tooth % 10 >= 4
    upper = tooth // 10 in (1, 2, 5, 6)
    bite = "O" if back else "I"
    outside = rnd.pick(("B" if back else "F", "V"))
    inside = rnd.weighted([("P", 3), ("L", 1)]) if upper else "L"
    if how == "sealant":
        return "O"
    if how == "veneer":
        return outside
    count = rnd.between(*how)
    if count == 1:
        return rnd.weighted([(bite, 5), ("M", 3), ("D", 3), (outside, 2),
                             (inside, 1)])
    if count == 2:
        return rnd.weighted([("M" + bite, 4), (bite + "D", 4),
                             (bite + outside, 2), (bite + inside, 1)])
    return "M" + bite + "D" + (outside + inside)[:count - 3]


# ---------------------------------------------------------------------------
# Plans: what people come for
# ---------------------------------------------------------------------------

# weight, ages, who, main items, items beside them, titles, notes
THEMES = [
    (20, (18, 120), "dentist endodontist",
     "PR-002 PR-001 RS-004 EN-003 EN-002 RS-003",
     "DX-003 PV-001 RS-002 RS-005 EN-004 PR-006 DX-001",
     ["Rehabilitación posterior", "Corona tras endodoncia",
      "Crowns and build-ups", "Restorative treatment plan",
      "Coronas y reconstrucciones"],
     ["Fractura de cúspide; vitalidad negativa.",
      "Secondary caries under an old filling, sensitive to cold.",
      "Bruxism: explain the splint, \"not optional\" after the crowns."]),
    (26, (13, 120), "dentist",
     "RS-001 RS-002 RS-003",
     "DX-003 PV-001 PV-004 DX-001 SU-001 EN-001",
     ["Caries múltiples", "Empastes", "Fillings", "Caries control",
      "Revisión anual y empastes"],
     ["Caries interproximales en aletas de mordida.",
      "High caries risk; dry mouth, takes antihistamines.",
      "Dieta: refrescos a diario. Reforzar higiene."]),
    (16, (22, 120), "surgeon",
     "IM-001 IM-002 IM-003",
     "DX-004 SU-001 PV-001 DX-002",
     ["Implante y corona", "Implants and crowns", "Rehabilitación con "
      "implantes", "Replacement of missing teeth"],
     ["Ausencia antigua, hueso suficiente en CBCT.",
      "Smoker, 10 a day: informed of the risk of failure.",
      "Toma anticoagulantes; pedir informe al médico."]),
    (12, (11, 60), "orthodontist",
     "OR-001 OR-002",
     "DX-005 OR-003 PV-001 PV-004 DX-002",
     ["Ortodoncia", "Orthodontics, both arches", "Alineadores",
      "Tratamiento de ortodoncia (fase única)"],
     ["Clase II división 1, resalte 6 mm.",
      "Crowding, lower arch; patient asks for aligners.",
      "Mordida cruzada posterior derecha."]),
    (10, (30, 120), "hygienist",
     "PE-001 PE-002",
     "PV-001 PV-004 DX-002 SU-001 DX-003",
     ["Tratamiento periodontal", "Periodontal therapy",
      "Periodoncia: fase básica y mantenimiento"],
     ["Periodontitis estadio III, grado B. Sondaje > 5 mm.",
      "Bleeding on probing at 46 % of sites; type 2 diabetes.",
      "Movilidad grado I en 31 y 41."]),
    (14, (0, 12), "dentist",
     "PV-003 PV-002 RS-001 EN-005 PR-005",
     "DX-001 PV-001 PV-004 SU-001 RS-002",
     ["Odontopediatría", "Children's dentistry: caries and prevention",
      "Selladores y flúor", "Plan infantil"],
     ["Come por la noche con biberón; hablar con la familia.",
      "Cooperative; tell-show-do works well.",
      "Caries en molares temporales."]),
    (8, (20, 70), "dentist",
     "PR-003 RS-006",
     "PV-001 DX-001 RS-001 PR-006",
     ["Estética anterior", "Carillas de porcelana", "Smile design",
      "Blanqueamiento y carillas"],
     ["Quiere \"dientes más blancos, pero naturales\".",
      "Shade A3.5; aims at A1. Photographs taken.",
      "Diastema central de 2 mm."]),
    (8, (17, 50), "surgeon",
     "SU-002",
     "DX-002 DX-004 SU-001 PV-001",
     ["Cordales", "Wisdom teeth", "Exodoncia de terceros molares"],
     ["Pericoronaritis de repetición.",
      "Close to the inferior alveolar nerve: CBCT first.",
      "Prefiere hacerlo en una sola cita."]),
    (5, (62, 120), "dentist",
     "PR-004",
     "SU-001 DX-002 DX-001 PV-004 RS-001",
     ["Prótesis completa", "Complete dentures", "Prótesis removible"],
     ["Desdentado parcial; restos radiculares por extraer.",
      "Old denture loose, sore spot on the left.",
      "Alergia al níquel."]),
]

SMALL_THEME = (1, (0, 120), "dentist", "PR-002 RS-001", "PV-001",
               ["Corona y limpieza", "Empastes", "Crown and check-up"],
               ["Dolor al masticar.", "Sensitive to cold and sweet."])

# Treatments of one tooth that follow one another, by their word, and the
# order in which a plan does things (what is not named: in the middle)
FOLLOWING = [{"graft", "implant", "implant-crown"},
             {"root-canal", "core", "crown"}, {"pulpotomy", "crown"}]
ORDER = ["exam", "xray", "cbct", "study", "cleaning", "hygiene", "extraction",
         "graft", "pulpotomy", "root-canal", None, "core", "implant", "crown",
         "implant-crown", "whitening", "veneer", "retainer", "maintenance",
         "splint"]

ITEM_NOTES = [
    "Hacer cuanto antes", "Start with this one", "Patient's request",
    "Sin vasoconstrictor", "Not before Easter", "Latex allergy",
    "Explicado el presupuesto", "Says \"only in the mornings\"",
    "Pide cita por la tarde, después de las 18 h", "Anxious; take time",
]


def build():
    """All rows, by file."""
    rows = {name: [] for name in FILES}

    rnd = Stream("clinics")
    for clinic in CLINICS:
        rows["clinics"].append((rnd.id(),) + clinic)
    clinic_ids = [row[0] for row in rows["clinics"]]

    rnd = Stream("professionals")
    staff = [{}, {}]                    # by clinic: what they do -> ids
    for n, (c, name, color, active, role) in enumerate(PROFESSIONALS, 1):
        new = rnd.id()
        rows["professionals"].append(
            (new, clinic_ids[c], "staff-%02d" % n, name, color,
             "true" if active else "false"))
        if active:
            staff[c].setdefault(role, []).append(new)

    patients = build_patients(rows, clinic_ids)
    catalog = build_catalog(rows, clinic_ids)
    build_plans(rows, clinic_ids, staff, patients, catalog)
    return rows


def build_patients(rows, clinic_ids):
    """Fills patients; returns by clinic the list of (id, age)."""
    rnd = Stream("patients")
    patients = [[], []]
    small = PATIENTS - SMALL_PATIENTS
    for n, (first, last) in enumerate(draw_names(rnd)):
        c = 1 if n >= small else 0
        new = rnd.id()
        born = draw_birth_date(rnd)
        if n == 29:
            born = datetime.date(1988, 2, 29)
        age = (TODAY - born).days * 100 // 36525
        phone = fictional_phone(n, rnd)
        local = ".".join(filter(None, (ascii_of(first), ascii_of(last))))
        email = "%s.%03d@example.org" % (local or "patient", n + 1)
        number = n - small + 1 if c else n + 1
        known = not rnd.chance(0.03)
        rows["patients"].append((
            new, clinic_ids[c],
            None if rnd.chance(0.05) else "patient-%05d" % number,
            unicodedata.normalize("NFC", first),
            unicodedata.normalize("NFC", last),
            born.isoformat() if known else None,
            None if rnd.chance(0.08) else phone,
            None if rnd.chance(0.2) else email))
        patients[c].append((new, age if known else 40))
    return patients


def build_catalog(rows, clinic_ids):
    """Fills the catalog; returns by clinic: code -> (id, word, teeth,
    surfaces) of the active items."""
    items, steps = Stream("catalog_items"), Stream("catalog_sessions")
    catalog = [{}, {}]
    for c, entries in enumerate((CATALOG, SMALL_CATALOG)):
        for code, name, category, cents, active, word, teeth, how in entries:
            new = items.id()
            rows["catalog_items"].append(
                (new, clinic_ids[c], code, name, category, money(cents),
                 "true" if active else "false"))
            if active:
                catalog[c][code] = (new, word, teeth, how)
            template = TEMPLATES[c].get(code, [])
            assert not template or sum(p for _, p in template) == cents, code
            for sequence, (label, part) in enumerate(template, 1):
                rows["catalog_sessions"].append(
                    (steps.id(), clinic_ids[c], new, sequence, label,
                     money(part)))
    return catalog


def build_plans(rows, clinic_ids, staff, patients, catalog):
    """Fills plans and their items."""
    rnd, item_rnd = Stream("plans"), Stream("items")
    references = [0, 0]
    at_small = set(rnd.shuffled(range(PLANS))[:SMALL_PLANS])
    for n in range(PLANS):
        c = 1 if n in at_small else 0
        patient, age = rnd.pick(patients[c])
        fitting = [(t, t[0]) for t in ([SMALL_THEME] if c else THEMES)
                   if t[1][0] <= age <= t[1][1]]
        theme = rnd.weighted(fitting)
        _, _, role, main, beside, titles, notes = theme
        doctors = [d for r in role.split() for d in staff[c].get(r, [])]
        plan = rnd.id()
        rows["plans"].append((
            plan, clinic_ids[c], patient,
            None if rnd.chance(0.1) else rnd.pick(doctors),
            None if rnd.chance(0.03) else rnd.pick(titles),
            rnd.pick(notes) if rnd.chance(0.6) else None))
        for code, tooth, surfaces in draw_items(item_rnd, age, main.split(),
                                                beside.split(), catalog[c]):
            entry, word = catalog[c][code][:2]
            reference = None
            if item_rnd.chance(0.75):
                references[c] += 1
                reference = "odontogram:%s:%s:%04d" % (tooth or "mouth", word,
                                                       references[c])
            rows["items"].append((
                item_rnd.id(), clinic_ids[c], plan, entry, reference, tooth,
                surfaces,
                item_rnd.pick(ITEM_NOTES) if item_rnd.chance(0.12) else None))


def draw_tooth(rnd, age, word, teeth, taken):
    """A tooth of that kind for a treatment, or None. taken says which words
    each tooth of the plan has; a tooth is shared only by treatments that
    follow one another, and these like to share."""
    possible = [t for t in teeth_at(age) if TEETH[teeth](t)
                and not (word == "extraction" and age < 13 and t < 50)]
    fresh = [t for t in possible if t not in taken]
    shared = [t for t in possible if t in taken and word not in taken[t]
              and any(taken[t] | {word} <= group for group in FOLLOWING)]
    if shared and (not fresh or rnd.chance(0.8)):
        return rnd.pick(shared)
    return rnd.pick(fresh) if fresh else None


def draw_items(rnd, age, main, beside, catalog):
    """One plan's (code, tooth, surfaces), 1 to 9, in the order of the work.
    Nothing comes twice on one tooth, or twice for the whole mouth."""
    wanted = rnd.weighted([(1, 16), (2, 20), (3, 20), (4, 15), (5, 11),
                           (6, 7), (7, 5), (8, 3), (9, 3)])
    chosen, whole_mouth, taken = [], set(), {}
    for _ in range(200):
        if len(chosen) == wanted:
            break
        code = rnd.pick(main if not chosen or rnd.chance(0.6) else beside)
        _, word, teeth, how = catalog[code]
        tooth = surfaces = None
        if teeth is None:
            if code in whole_mouth:
                continue
            whole_mouth.add(code)
        else:
            tooth = draw_tooth(rnd, age, word, teeth, taken)
            if tooth is None or (code, tooth) in [c[:2] for c in chosen]:
                continue
            if word != "xray":
                taken.setdefault(tooth, set()).add(word)
            # sometimes nobody charted which surfaces
            if how is not None and not rnd.chance(0.05):
                surfaces = draw_surfaces(rnd, tooth, how)
        chosen.append((code, tooth, surfaces))
    assert chosen

    def place(item):
        word = catalog[item[0]][1]
        return ORDER.index(word if word in ORDER else None)
    return sorted(chosen, key=place)


def csv_bytes(name, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FILES[name].split(","))
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")


def main():
    parser = argparse.ArgumentParser(
        description="Writes the made-up clinic as CSV files.")
    parser.add_argument("-o", "--output", metavar="DIR",
                        default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--check", action="store_true",
                        help="only compare; exit 1 when a file differs")
    options = parser.parse_args()

    differing = 0
    for name, rows in build().items():
        path = os.path.join(options.output, name + ".csv")
        wanted = csv_bytes(name, rows)
        if options.check:
            try:
                with open(path, "rb") as file:
                    same = file.read() == wanted
            except FileNotFoundError:
                same = False
            if not same:
                differing += 1
                print("%s differs from what generate.py writes" % path)
        else:
            with open(path, "wb") as file:
                file.write(wanted)
            print("%-22s %5d rows" % (name + ".csv", len(rows)))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
