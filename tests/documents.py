"""Makes the files of tests/documents, each with the tool that people use for its format:

    pip install python-docx openpyxl xlwt python-pptx odfpy ebooklib reportlab fpdf2 typst pikepdf nbformat
    python3 tests/documents.py tests/documents

The files are in the repository; this tells how they came to be. The texts beside them are what is to be read of each:
`UPDATE_EXPECT=1 cargo test --lib extract::documents` writes them anew.
"""

import datetime
import gzip
import io
import json
import os
import sys
import tarfile
import tempfile
import zipfile
from email.message import EmailMessage

import docx
import nbformat.v4 as notebook
import openpyxl
import pikepdf
import typst
import xlwt
from ebooklib import epub
from fpdf import FPDF
from odf import dc, draw, table
from odf import text as odf
from odf.opendocument import OpenDocumentPresentation, OpenDocumentSpreadsheet, OpenDocumentText
from odf.style import MasterPage, PageLayout
from pptx import Presentation
from pptx.util import Inches
from reportlab import rl_config
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

FOLDER = sys.argv[1]
HEATING = [
    "The heating is serviced every October by Mr. Kowalski, who brings his own ladder.",
    "If the pressure falls below 1.2 bar, open the valve behind the washing machine until it reads 1.8.",
    "The insurance number is written on the back of the boiler, next to the date of the last inspection.",
]


def place(name):
    return os.path.join(FOLDER, name)


def write(name, data):
    with open(place(name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def pdfs():
    rl_config.invariant = 1
    styles = getSampleStyleSheet()
    body = [Paragraph(line, styles["BodyText"]) for line in HEATING]
    garden = "The hedge is cut in <b>June</b>; Zoë’s café chairs — all four — stay out."
    SimpleDocTemplate(place("reportlab.pdf"), title="House handbook").build(
        [Paragraph("House handbook", styles["Title"]), Paragraph("Heating", styles["Heading1"])]
        + body
        + [PageBreak(), Paragraph("Garden", styles["Heading1"]), Paragraph("Tools", styles["Heading2"])]
        + [Paragraph(garden, styles["BodyText"])]
        + [Table([["Tool", "Place"], ["Spade", "Shed"], ["Hose", "Cellar"]])]
    )
    lock = pikepdf.Encryption
    for name, options in {
        "packed.pdf": {"object_stream_mode": pikepdf.ObjectStreamMode.generate, "deterministic_id": True},
        "locked-rc4.pdf": {"encryption": lock(owner="owner", user="", R=3, aes=False, metadata=False)},
        "locked-aes.pdf": {"encryption": lock(owner="owner", user="", R=6)},
        "secret.pdf": {"encryption": lock(owner="owner", user="user", R=4)},
    }.items():
        with pikepdf.open(place("reportlab.pdf")) as document:
            document.save(place(name), **options)
    source = """#set document(title: "Two columns")
#set page(columns: 2, height: 9cm)
= Introduction
#lorem(60)
== Método
El año 2024 fue difícil: señal, niño, über, fluffy office. $ sum_(i=1)^n i = n(n+1)/2 $
= Results
#lorem(70)
"""
    with tempfile.NamedTemporaryFile("w", suffix=".typ") as file:
        file.write(source)
        file.flush()
        typst.compile(file.name, output=place("typst.pdf"))
    letter = FPDF()
    letter.set_creation_date(datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc))
    letter.add_page()
    letter.set_font("Times", size=12)
    letter.multi_cell(0, 6, "Dear Anna,\n\n" + " ".join(HEATING))
    letter.output(place("letter.pdf"))


def word():
    document = docx.Document()
    document.core_properties.title = "House handbook"
    document.add_heading("House handbook", 0)
    document.add_heading("Heating", 1)
    for line in HEATING:
        document.add_paragraph(line)
    document.add_heading("Garden", 1)
    document.add_heading("Tools", 2)
    document.add_paragraph("Spade in the shed", style="List Bullet")
    document.add_paragraph("Hose in the cellar", style="List Bullet")
    cells = document.add_table(rows=2, cols=2)
    for row, texts in enumerate([["Tool", "Place"], ["Rake & hoe", "Attic"]]):
        for column, text in enumerate(texts):
            cells.cell(row, column).text = text
    document.add_paragraph("The hedge is cut in June.").add_run(" Never in May.").bold = True
    document.save(place("word.docx"))


def powerpoint():
    show = Presentation()
    show.core_properties.title = "Plan"
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Plan for 2025"
    slide.placeholders[1].text = "Paint the fence\nMend the roof before winter"
    slide.notes_slide.notes_text_frame.text = "Ask Anna what the paint costs."
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Costs"
    cells = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, texts in enumerate([["What", "Euro"], ["Paint", "240"]]):
        for column, text in enumerate(texts):
            cells.cell(row, column).text = text
    show.save(place("slides.pptx"))


def excel():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Expenses"
    sheet.append(["Date", "What", "Amount", "Share"])
    sheet.append([datetime.date(2024, 3, 1), "Rent", 900.5, 0.25])
    sheet.append([datetime.datetime(2024, 3, 2, 18, 30), "Tea & cake", 4.2, 1])
    sheet["D2"].number_format = sheet["D3"].number_format = "0%"
    sheet["G3"] = "far out"
    sheet = book.create_sheet("Contacts")
    sheet.append(["Name", "Phone"])
    sheet.append(["Anna", "+49 30 1234"])
    book.save(place("book.xlsx"))
    book = xlwt.Workbook()
    sheet = book.add_sheet("Expenses")
    for column, text in enumerate(["Date", "What", "Amount"]):
        sheet.write(0, column, text)
    sheet.write(1, 0, datetime.date(2024, 3, 1), xlwt.easyxf(num_format_str="yyyy-mm-dd"))
    sheet.write(1, 1, "Rent — März")
    sheet.write(1, 2, 900.5)
    sheet.write(2, 1, "Tea")
    sheet.write(2, 2, 4)
    book.add_sheet("Empty")
    book.save(place("book.xls"))


def with_text(element, text):
    element.addElement(odf.P(text=text))
    return element


def open_document():
    document = OpenDocumentText()
    document.meta.addElement(dc.Title(text="House handbook"))
    add = document.text.addElement
    add(odf.H(outlinelevel=1, text="Heating"))
    for line in HEATING:
        add(odf.P(text=line))
    add(odf.H(outlinelevel=2, text="Tools"))
    items = odf.List()
    for tool in ["Spade", "Hose"]:
        items.addElement(with_text(odf.ListItem(), tool))
    add(items)
    noted = odf.P(text="Water")
    note = odf.Note(noteclass="footnote", id="n1")
    note.addElement(odf.NoteCitation(text="1"))
    note.addElement(with_text(odf.NoteBody(), "Only in summer."))
    noted.addElement(note)
    noted.addText(" the roses.")
    add(noted)
    document.save(place("text.odt"))

    book = OpenDocumentSpreadsheet()
    sheet = table.Table(name="Expenses")
    for texts in [["What", "Amount"], ["Rent", "900.50 €"], ["Tea", "4.20 €"]]:
        row = table.TableRow()
        for text in texts:
            row.addElement(with_text(table.TableCell(), text))
        row.addElement(table.TableCell(numbercolumnsrepeated=1000))
        sheet.addElement(row)
    book.spreadsheet.addElement(sheet)
    book.save(place("book.ods"))

    show = OpenDocumentPresentation()
    layout = PageLayout(name="layout")
    show.automaticstyles.addElement(layout)
    show.masterstyles.addElement(MasterPage(name="master", pagelayoutname=layout))
    for number, texts in enumerate([("Plan", "Paint the fence"), ("Costs", "240 Euro for paint")]):
        page = draw.Page(name=f"page{number + 1}", masterpagename="master")
        show.presentation.addElement(page)
        for kind, text in zip(("title", "outline"), texts):
            frame = draw.Frame(width="10cm", height="2cm", x="1cm", y="1cm")
            frame.setAttrNS("urn:oasis:names:tc:opendocument:xmlns:presentation:1.0", "class", kind)
            frame.addElement(with_text(draw.TextBox(), text))
            page.addElement(frame)
    show.save(place("slides.odp"))


def book():
    book = epub.EpubBook()
    book.set_identifier("id1")
    book.set_title("The small garden")
    book.set_language("en")
    book.add_author("A. Nonym")
    chapters = []
    for number, (title, text) in enumerate(
        [
            ("Spring", "Sow the peas when the <em>lilac</em> blooms."),
            ("Autumn", "Rake leaves &amp; cover the roses."),
        ]
    ):
        chapter = epub.EpubHtml(title=title, file_name=f"c {number}.xhtml", lang="en")
        chapter.content = f"<h1>{title}</h1><p>{text}</p>"
        book.add_item(chapter)
        chapters.append(chapter)
    book.toc = book.spine = chapters
    book.add_item(epub.EpubNcx())
    epub.write_epub(place("book.epub"), book)


def mail():
    letter = EmailMessage()
    letter["Subject"] = "Schlüssel für Zoë"
    letter["From"] = "Anna Müller <anna@example.org>"
    letter["To"] = "bob@example.org, Carl <carl@example.org>"
    letter["Date"] = "Fri, 01 Mar 2024 18:30:00 +0100"
    letter["Message-ID"] = "<1@example.org>"
    letter.set_content("Hallo Bob,\n\nder Schlüssel liegt unter dem blauen Topf.\n\nGrüße\nAnna\n")
    page = "<p>der Schlüssel liegt unter dem <b>blauen</b> Topf.</p>"
    letter.add_alternative(page, subtype="html")
    letter.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Hausplan.pdf")
    write("letter.eml", bytes(letter).replace(b"\n", b"\r\n"))
    news = EmailMessage()
    news["Subject"] = "Only a page"
    news["From"] = "news@example.org"
    news["Date"] = "Sat, 02 Mar 2024 08:00:00 +0000"
    news["Message-ID"] = "<2@example.org>"
    page = "<html><body><h1>Sale</h1><p>Rakes at <b>half</b> price.</p></body></html>"
    news.set_content(page, subtype="html")
    border = b"From someone Fri Mar  1 18:30:00 2024\n"
    write("inbox.mbox", b"".join(border + bytes(message) + b"\n" for message in (letter, news)))
    # As a Maildir names it.
    write("1709312400.M1P2.host:2,S", bytes(news))


def data():
    outputs = [
        notebook.new_output("execute_result", data={"text/plain": "3"}, execution_count=1),
        notebook.new_output("stream", text="hello\n"),
    ]
    cells = [
        notebook.new_markdown_cell("# Rain\n\nHow much it rains."),
        notebook.new_code_cell("sum([1, 2])", outputs=outputs),
    ]
    for cell in cells:
        cell["id"] = "x"
    write("rain.ipynb", json.dumps(notebook.new_notebook(cells=cells), indent=1))
    people = "".join(f"Person {n},Town {n % 7},{1950 + n}\n" for n in range(40))
    write("people.csv", "Name,Town,Born\n" + people)
    rooms = [f"room number {n} of the old house" for n in range(20)]
    write("house.json", json.dumps({"settings": {"colour": "blue", "rooms": rooms}, "version": 3}, indent=2))
    step = (
        "    def step_{0}(self, thing):\n"
        "        # Step {0} of the way, which needs a few words to be long enough.\n"
        "        self.things.append((thing, {0}))\n"
        "        return self.things[-1]\n\n"
    )
    steps = "".join(step.format(n) for n in range(6))
    write("cart.py", '"""A cart."""\n\n\nclass Cart:\n    """Holds things."""\n\n' + steps)


def archives():
    with zipfile.ZipFile(place("photos.zip"), "w") as archive:
        for name in ("summer/beach.jpg", "summer/liste für Zoë.txt"):
            archive.writestr(zipfile.ZipInfo(name), "x" * 50, zipfile.ZIP_DEFLATED)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name in ("backup/notes.txt", "backup/" + "long-name-" * 14 + ".txt"):
            info = tarfile.TarInfo(name)
            info.size = 600
            archive.addfile(info, io.BytesIO(b"y" * 600))
    write("backup.tar", raw.getvalue())
    write("backup.tar.gz", gzip.compress(raw.getvalue(), mtime=0))


os.makedirs(FOLDER, exist_ok=True)
for make in (pdfs, word, powerpoint, excel, open_document, book, mail, data, archives):
    make()
