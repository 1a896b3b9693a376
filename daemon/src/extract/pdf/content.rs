//! A page's drawing, followed for its letters alone: where each string is shown, in which font and size.
//! Nothing is painted. Forms inside of forms end at a depth, and everything at the end of the fuel.

use super::file::File;
use super::font::Font;
use super::layout::{Layout, Run};
use super::object::{Dict, Lexer, Object};
use std::collections::HashMap;
use std::rc::Rc;

/// Forms inside of forms, and saved states.
const DEPTH: usize = 8;
const SAVED: usize = 256;
/// Operands that an operator may have.
const OPERANDS: usize = 32;

/// `[a b c d e f]`, as PDF writes it.
#[derive(Debug, Clone, Copy)]
struct Matrix([f64; 6]);

impl Matrix {
    const ONE: Matrix = Matrix([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    fn of(operands: &[Object]) -> Option<Matrix> {
        let numbers: Vec<f64> = operands.iter().filter_map(Object::number).collect();
        numbers.try_into().ok().map(Matrix)
    }

    /// First this one, then `next`.
    fn then(self, next: Matrix) -> Matrix {
        let [a, b, c, d, e, f] = self.0;
        let [p, q, r, s, t, u] = next.0;
        Matrix([
            a * p + b * r,
            a * q + b * s,
            c * p + d * r,
            c * q + d * s,
            e * p + f * r + t,
            e * q + f * s + u,
        ])
    }

    fn moved(x: f64, y: f64) -> Matrix {
        Matrix([1.0, 0.0, 0.0, 1.0, x, y])
    }
}

#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    letter_gap: f64,
    word_gap: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

/// Follows the drawings of one document.
pub(super) struct Painter<'a, 'f> {
    file: &'f File<'a>,
    pub layout: Layout,
    /// Fonts by their objects' numbers.
    fonts: HashMap<u32, Rc<Font>>,
    /// Most bytes of text, with what it takes to hold them.
    limit: usize,
}

impl<'a, 'f> Painter<'a, 'f> {
    pub(super) fn new(file: &'f File<'a>, limit: usize) -> Painter<'a, 'f> {
        Painter { file, layout: Layout::default(), fonts: HashMap::new(), limit }
    }

    /// Whether no more text is taken in.
    pub(super) fn full(&self) -> bool {
        self.layout.bytes() > self.limit
    }

    pub(super) fn page(&mut self, number: u32, content: &[u8], resources: &Dict) {
        self.layout.begin_page(number);
        let state = State {
            matrix: Matrix::ONE,
            font: None,
            size: 1.0,
            letter_gap: 0.0,
            word_gap: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        self.paint(content, resources, state, 0);
    }

    fn paint(&mut self, content: &[u8], resources: &Dict, state: State, depth: usize) {
        let fonts = self.file.entry(resources, "Font");
        let forms = self.file.entry(resources, "XObject");
        let file = self.file;
        // What is copied here is paid for, however often a form is drawn.
        file.fuel.take(
            [&fonts, &forms].iter().filter_map(|names| names.dict()).map(|names| names.len() as u64).sum(),
        );
        let mut sheet = Sheet {
            painter: self,
            resources,
            fonts: fonts.dict().cloned().unwrap_or_default(),
            forms: forms.dict().cloned().unwrap_or_default(),
            known: HashMap::new(),
            state,
            saved: Vec::new(),
            text: Matrix::ONE,
            line: Matrix::ONE,
            depth,
        };
        let mut lexer = Lexer::new(content, 0, &file.fuel);
        let mut operands: Vec<Object> = Vec::new();
        while let Some(object) = lexer.next(false) {
            let Object::Word(word) = object else {
                if operands.len() < OPERANDS {
                    operands.push(object);
                }
                continue;
            };
            if word == "BI" {
                skip_picture(&mut lexer);
            } else {
                sheet.operator(&word, &operands);
            }
            operands.clear();
            if sheet.painter.full() {
                return;
            }
        }
    }

    fn font(&mut self, value: &Object) -> Option<Rc<Font>> {
        if let Object::Ref(number) = value
            && let Some(font) = self.fonts.get(number)
        {
            return Some(font.clone());
        }
        let font = Rc::new(Font::read(self.file, self.file.follow(value).dict()?));
        if let Object::Ref(number) = value {
            self.fonts.insert(*number, font.clone());
        }
        Some(font)
    }
}

/// Passes over a picture that stands in the content itself.
fn skip_picture(lexer: &mut Lexer<'_>) {
    let rest = &lexer.bytes[lexer.at.min(lexer.bytes.len())..];
    let end = rest.windows(4).position(|w| {
        w[0].is_ascii_whitespace() && w[1] == b'E' && w[2] == b'I' && w[3].is_ascii_whitespace()
    });
    lexer.at = end.map_or(lexer.bytes.len(), |end| lexer.at + end + 4);
}

/// One content stream under way.
struct Sheet<'p, 'a, 'f, 'r> {
    painter: &'p mut Painter<'a, 'f>,
    resources: &'r Dict,
    fonts: Dict,
    forms: Dict,
    /// Fonts by their names here.
    known: HashMap<String, Option<Rc<Font>>>,
    state: State,
    saved: Vec<State>,
    text: Matrix,
    line: Matrix,
    depth: usize,
}

impl Sheet<'_, '_, '_, '_> {
    fn operator(&mut self, word: &str, operands: &[Object]) {
        let number = |at: usize| operands.get(at).and_then(Object::number).unwrap_or(0.0);
        match word {
            "q" if self.saved.len() < SAVED => self.saved.push(self.state.clone()),
            "Q" => self.state = self.saved.pop().unwrap_or_else(|| self.state.clone()),
            "cm" => {
                if let Some(matrix) = Matrix::of(operands) {
                    self.state.matrix = matrix.then(self.state.matrix);
                }
            }
            "BT" => (self.text, self.line) = (Matrix::ONE, Matrix::ONE),
            "Tf" => self.set_font(operands),
            "Tc" => self.state.letter_gap = number(0),
            "Tw" => self.state.word_gap = number(0),
            "Tz" => self.state.stretch = number(0) / 100.0,
            "TL" => self.state.leading = number(0),
            "Ts" => self.state.rise = number(0),
            "Td" => self.next_line(number(0), number(1)),
            "TD" => {
                self.state.leading = -number(1);
                self.next_line(number(0), number(1));
            }
            "Tm" => {
                if let Some(matrix) = Matrix::of(operands) {
                    (self.text, self.line) = (matrix, matrix);
                }
            }
            "T*" => self.next_line(0.0, -self.state.leading),
            "Tj" => self.show(operands.first()),
            "'" => {
                self.next_line(0.0, -self.state.leading);
                self.show(operands.first());
            }
            "\"" => {
                (self.state.word_gap, self.state.letter_gap) = (number(0), number(1));
                self.next_line(0.0, -self.state.leading);
                self.show(operands.get(2));
            }
            "TJ" => self.show_row(operands.first()),
            "Do" => self.form(operands.first().and_then(Object::name).unwrap_or_default()),
            _ => {}
        }
    }

    fn set_font(&mut self, operands: &[Object]) {
        let [Object::Name(name), Object::Number(size)] = operands else { return };
        if !self.known.contains_key(name) {
            let font = self.fonts.get(name).cloned().and_then(|value| self.painter.font(&value));
            self.known.insert(name.clone(), font);
        }
        self.state.font = self.known.get(name).cloned().flatten();
        self.state.size = *size;
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line = Matrix::moved(x, y).then(self.line);
        self.text = self.line;
    }

    fn show_row(&mut self, row: Option<&Object>) {
        for item in row.and_then(Object::array).unwrap_or_default() {
            match item {
                Object::Number(back) => {
                    let x = -back / 1000.0 * self.state.size * self.state.stretch;
                    self.text = Matrix::moved(x, 0.0).then(self.text);
                }
                text => self.show(Some(text)),
            }
        }
    }

    fn show(&mut self, text: Option<&Object>) {
        let (Some(Object::Text(string)), Some(font)) = (text, self.state.font.clone()) else { return };
        self.painter.file.fuel.take(string.len() as u64 / 8);
        let state = &self.state;
        let [a, b, c, d, ..] = self.text.then(state.matrix).0;
        let (angle, scale) = (b.atan2(a), c.hypot(d));
        let start = self.place(angle);
        let mut letters = String::with_capacity(string.len());
        let mut x = 0.0;
        font.glyphs(string, |glyph| {
            push_clean(&mut letters, &glyph.text);
            let gaps = state.letter_gap + if glyph.blank { state.word_gap } else { 0.0 };
            x += (glyph.width / 1000.0 * state.size + gaps) * state.stretch;
        });
        let size = (state.size * scale).abs();
        self.text = Matrix::moved(x, 0.0).then(self.text);
        let end = self.place(angle);
        // What is written from right to left on a mirrored page still goes forward.
        let (first, last) = (start.0.min(end.0), start.0.max(end.0));
        self.painter.layout.put(Run {
            text: letters,
            start: first,
            end: last,
            base: start.1,
            size,
            angle,
            bold: font.bold,
        });
    }

    /// Where the next letter stands: along the direction of writing, and across it.
    fn place(&self, angle: f64) -> (f64, f64) {
        let [.., x, y] = Matrix::moved(0.0, self.state.rise).then(self.text).then(self.state.matrix).0;
        let (sine, cosine) = angle.sin_cos();
        (x * cosine + y * sine, y * cosine - x * sine)
    }

    fn form(&mut self, name: &str) {
        if self.depth >= DEPTH || !self.painter.file.fuel.take(100) {
            return;
        }
        let Some(value) = self.forms.get(name) else { return };
        let form = self.painter.file.follow(value);
        let Object::Stream(dict, ..) = &form else { return };
        if self.painter.file.entry(dict, "Subtype").name() != Some("Form") {
            return;
        }
        let own = self.painter.file.entry(dict, "Resources");
        let resources = own.dict().unwrap_or(self.resources);
        let matrix = match self.painter.file.entry(dict, "Matrix") {
            Object::Array(numbers) => Matrix::of(&numbers).unwrap_or(Matrix::ONE),
            _ => Matrix::ONE,
        };
        let mut state = self.state.clone();
        state.matrix = matrix.then(state.matrix);
        let content = self.painter.file.data(&form);
        self.painter.paint(&content, resources, state, self.depth + 1);
    }
}

/// Letters as they are looked for: joined ones apart, no control signs, one kind of blank.
fn push_clean(text: &mut String, letters: &str) {
    for letter in letters.chars() {
        match letter {
            'ﬀ' => text.push_str("ff"),
            'ﬁ' => text.push_str("fi"),
            'ﬂ' => text.push_str("fl"),
            'ﬃ' => text.push_str("ffi"),
            'ﬄ' => text.push_str("ffl"),
            'ﬅ' | 'ﬆ' => text.push_str("st"),
            '\u{e000}'..='\u{f8ff}' | '\u{fffd}' | '\u{feff}' => {}
            blank if blank.is_whitespace() => text.push(' '),
            control if control.is_control() => {}
            other => text.push(other),
        }
    }
}
