/*
 * The arguments of a tool, which are a JSON object, and texts put together. The daemon has held the arguments
 * against the tool's schema already, so what is here reads, and does not judge.
 */
#ifndef FAMILIAR_JSON_H
#define FAMILIAR_JSON_H

#include "familiar.h"

/* A text that grows. */
typedef struct { char *ptr; size_t len, room; } fam_buffer;

static void fam_put(fam_buffer *to, const char *bytes, size_t length)
{
    if (to->len + length > to->room) {
        size_t room = (to->len + length) * 2 + 64;
        char *grown = fam_alloc(room, 1);
        fam_copy(grown, to->ptr, to->len);
        to->ptr = grown;
        to->room = room;
    }
    fam_copy(to->ptr + to->len, bytes, length);
    to->len += length;
}

static void fam_put_text(fam_buffer *to, fam_string text) { fam_put(to, text.ptr, text.len); }

static void fam_put_u64(fam_buffer *to, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = '0' + number % 10;
        number /= 10;
    } while (number > 0);
    fam_put(to, digits + at, sizeof digits - at);
}

static void fam_put_i64(fam_buffer *to, int64_t number)
{
    if (number < 0) fam_put(to, "-", 1);
    fam_put_u64(to, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

static fam_string fam_written(const fam_buffer *buffer) { return (fam_string){ buffer->ptr, buffer->len }; }

static size_t fam_json_blanks(fam_string json, size_t at)
{
    while (at < json.len && (json.ptr[at] == ' ' || (json.ptr[at] >= '\t' && json.ptr[at] <= '\r'))) at++;
    return at;
}

/* Where the value that begins at `at` ends: no function calls itself, so depth costs nothing. */
static size_t fam_json_end(fam_string json, size_t at)
{
    size_t depth = 0;
    while (at < json.len) {
        char c = json.ptr[at];
        if (c == '"') {
            for (at++; at < json.len && json.ptr[at] != '"'; at++)
                if (json.ptr[at] == '\\') at++;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return at;
            depth--;
        } else if (depth == 0 && c == ',') {
            return at;
        }
        at++;
        if (depth == 0 && (c == '"' || c == '}' || c == ']')) return at;
    }
    return json.len;
}

static void fam_put_code_point(fam_buffer *to, uint32_t c)
{
    char utf8[4];
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
    for (size_t i = length - 1; i > 0; i--, c >>= 6) utf8[i] = (char)(0x80 | (c & 0x3f));
    utf8[0] = (char)(first[length] | c);
    fam_put(to, utf8, length);
}

static uint32_t fam_hex4(fam_string json, size_t at)
{
    uint32_t code = 0;
    for (size_t i = at; i < at + 4 && i < json.len; i++) {
        char c = json.ptr[i];
        code = code * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return code;
}

/* The text of a JSON string, its quotes and backslashes taken away. */
static fam_string fam_json_text(fam_string json)
{
    fam_buffer text = { 0 };
    for (size_t at = 1; at + 1 < json.len; at++) {
        char c = json.ptr[at];
        if (c != '\\') {
            fam_put(&text, &c, 1);
            continue;
        }
        switch (c = json.ptr[++at]) {
        case 'n': fam_put(&text, "\n", 1); break;
        case 't': fam_put(&text, "\t", 1); break;
        case 'r': fam_put(&text, "\r", 1); break;
        case 'b': fam_put(&text, "\b", 1); break;
        case 'f': fam_put(&text, "\f", 1); break;
        case 'u': {
            uint32_t code = fam_hex4(json, at + 1);
            at += 4;
            if (code >= 0xd800 && code < 0xdc00) {
                code = 0x10000 + ((code - 0xd800) << 10) + (fam_hex4(json, at + 3) - 0xdc00);
                at += 6;
            }
            fam_put_code_point(&text, code);
            break;
        }
        default: fam_put(&text, &c, 1);
        }
    }
    return fam_written(&text);
}

/* The JSON of one argument; its pointer is null if there is none. */
static fam_string fam_json_get(fam_string object, fam_string name)
{
    size_t at = fam_json_blanks(object, 0) + 1;
    while ((at = fam_json_blanks(object, at)) < object.len && object.ptr[at] == '"') {
        size_t end = fam_json_end(object, at);
        fam_string key = fam_json_text((fam_string){ object.ptr + at, end - at });
        at = fam_json_blanks(object, fam_json_blanks(object, end) + 1);
        end = fam_json_end(object, at);
        if (fam_same(key, name)) {
            while (end > at && fam_json_blanks(object, end - 1) >= end) end--;
            return (fam_string){ object.ptr + at, end - at };
        }
        at = fam_json_blanks(object, end) + 1;
    }
    return (fam_string){ 0 };
}

/* One argument as a text; empty if there is none. */
static fam_string fam_argument(fam_string arguments, fam_string name)
{
    fam_string json = fam_json_get(arguments, name);
    return json.ptr ? fam_json_text(json) : (fam_string){ 0 };
}

/* One argument as a whole number, or `otherwise`. */
static int64_t fam_argument_number(fam_string arguments, fam_string name, int64_t otherwise)
{
    fam_string json = fam_json_get(arguments, name);
    if (!json.ptr) return otherwise;
    size_t at = json.ptr[0] == '-';
    int64_t number = 0;
    for (; at < json.len && json.ptr[at] >= '0' && json.ptr[at] <= '9'; at++) number = number * 10 + (json.ptr[at] - '0');
    return json.ptr[0] == '-' ? -number : number;
}

/* The JSON of a list's next item after `*at` (begin with 0); false at the end. */
static bool fam_json_next(fam_string list, size_t *at, fam_string *item)
{
    if (*at == 0) *at = 1;
    *at = fam_json_blanks(list, *at);
    if (*at < list.len && list.ptr[*at] == ',') *at = fam_json_blanks(list, *at + 1);
    if (*at >= list.len || list.ptr[*at] == ']') return false;
    size_t end = fam_json_end(list, *at);
    *item = (fam_string){ list.ptr + *at, end - *at };
    *at = end;
    return true;
}

#endif
