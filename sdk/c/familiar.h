/*
 * What a plugin for Familiar is written with in C: the world of plugin.wit, laid out by the component model's
 * canonical ABI, and the little that a program without a C library needs. Include it in one file, define
 * `familiar_call` there, and build it as README.md says.
 *
 * Every call runs in an instance of its own, which is thrown away after it: memory is taken and never given
 * back. Texts are UTF-8 with their length, and do not end with a zero.
 *
 * ABI: https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md
 */
#ifndef FAMILIAR_H
#define FAMILIAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAMILIAR_IMPORT(interface, name) \
    __attribute__((import_module("familiar:plugin/" interface "@1.0.0"), import_name(name)))
#define FAMILIAR_EXPORT(name) __attribute__((export_name(name)))

typedef struct { const char *ptr; size_t len; } fam_string;
typedef struct { const uint8_t *ptr; size_t len; } fam_bytes;
typedef struct { uint8_t some; fam_string value; } fam_option_string;
typedef struct { uint8_t some; fam_bytes value; } fam_option_bytes;
typedef struct { uint8_t some; uint32_t value; } fam_option_u32;
typedef struct { const fam_string *ptr; size_t len; } fam_strings;

/* A text in the source, such as FAM_TEXT("none"). */
#define FAM_TEXT(literal) ((fam_string){ (literal), sizeof(literal) - 1 })

/* -- tools: what a plugin exports ------------------------------------------------------------------- */

typedef struct { fam_string session, language; uint64_t deadline_ms; } fam_context;
typedef struct { fam_string path; uint64_t start, end; } fam_source;
typedef struct { const fam_source *ptr; size_t len; } fam_sources;
typedef struct { fam_string text; fam_option_string data; fam_sources sources; } fam_output;

enum { FAM_INVALID_ARGUMENTS, FAM_NOT_FOUND, FAM_DENIED, FAM_UNAVAILABLE, FAM_FAILED };
typedef struct { uint8_t kind; fam_string words; } fam_error;
typedef struct { uint8_t is_error; union { fam_output output; fam_error error; }; } fam_result;

/* The plugin's own: runs one tool. `arguments` is a JSON object that satisfies the tool's schema. */
static fam_result familiar_call(fam_string tool, fam_string arguments, fam_context context);

/* -- log ---------------------------------------------------------------------------------------------- */

enum { FAM_DEBUG, FAM_INFO, FAM_WARN, FAM_ERROR };
FAMILIAR_IMPORT("log", "write") void fam_log_write(uint32_t level, const char *message, size_t length);

/* -- clock -------------------------------------------------------------------------------------------- */

typedef struct { int64_t seconds; uint32_t nanoseconds; } fam_datetime;
FAMILIAR_IMPORT("clock", "now") void fam_clock_now(fam_datetime *now);
FAMILIAR_IMPORT("clock", "local-offset") int32_t fam_clock_local_offset(int64_t at);

/* -- kv ----------------------------------------------------------------------------------------------- */

enum { FAM_KV_DENIED, FAM_KV_QUOTA, FAM_KV_FAILED };
typedef struct { uint8_t kind; union { fam_string words; uint64_t quota; }; } fam_kv_error;
typedef struct { uint8_t is_error; union { fam_option_bytes value; fam_kv_error error; }; } fam_kv_value;
typedef struct { uint8_t is_error; union { bool value; fam_kv_error error; }; } fam_kv_bool;
typedef struct { uint8_t is_error; union { fam_strings keys; fam_kv_error error; }; } fam_kv_keys;

FAMILIAR_IMPORT("kv", "get") void fam_kv_get(const char *key, size_t key_length, fam_kv_value *result);
/* The result's value says nothing. */
FAMILIAR_IMPORT("kv", "set")
void fam_kv_set(const char *key, size_t key_length, const void *value, size_t length, fam_kv_bool *result);
FAMILIAR_IMPORT("kv", "swap")
void fam_kv_swap(const char *key, size_t key_length, uint32_t has_old, const void *old, size_t old_length,
                 const void *new_value, size_t new_length, fam_kv_bool *result);
FAMILIAR_IMPORT("kv", "delete") void fam_kv_delete(const char *key, size_t key_length, fam_kv_bool *result);
FAMILIAR_IMPORT("kv", "keys") void fam_kv_list(const char *prefix, size_t length, fam_kv_keys *result);

/* -- search ------------------------------------------------------------------------------------------- */

enum { FAM_ORIGIN_OWNER, FAM_ORIGIN_FILE, FAM_ORIGIN_WEB, FAM_ORIGIN_PLUGIN };
typedef struct {
    fam_string path, title, breadcrumb, text;
    uint64_t start, end;
    uint32_t line;
    fam_option_u32 page;
    float score;
    uint8_t origin;
} fam_hit;
typedef struct { fam_string path; uint64_t size; int64_t modified; } fam_file;
typedef struct { const fam_hit *ptr; size_t len; } fam_hit_list;
typedef struct { const fam_file *ptr; size_t len; } fam_file_list;

enum { FAM_SEARCH_DENIED, FAM_SEARCH_NOT_FOUND, FAM_SEARCH_FAILED };
typedef struct { uint8_t kind; fam_string words; } fam_search_error;
typedef struct { uint8_t is_error; union { fam_hit_list hits; fam_search_error error; }; } fam_hits;
typedef struct { uint8_t is_error; union { fam_file_list files; fam_search_error error; }; } fam_files;
typedef struct { uint8_t is_error; union { fam_hit hit; fam_search_error error; }; } fam_read;

FAMILIAR_IMPORT("search", "find")
void fam_search_find(const char *query, size_t length, uint32_t limit, fam_hits *result);
FAMILIAR_IMPORT("search", "files")
void fam_search_files(const char *suffix, size_t length, uint32_t has_after, const char *after, size_t after_length,
                      fam_files *result);
FAMILIAR_IMPORT("search", "read")
void fam_search_read(const char *path, size_t path_length, uint64_t start, uint32_t length, fam_read *result);

/* -- generate ----------------------------------------------------------------------------------------- */

typedef struct { fam_string text; uint32_t prompt_tokens, completion_tokens; bool cut; } fam_reply;
enum { FAM_GENERATE_DENIED, FAM_GENERATE_BUDGET, FAM_GENERATE_TOO_LONG, FAM_GENERATE_FAILED };
typedef struct {
    uint8_t kind;
    union { fam_string words; uint32_t left; struct { uint32_t tokens, fit; } too_long; };
} fam_generate_error;
typedef struct { uint8_t is_error; union { fam_reply reply; fam_generate_error error; }; } fam_generated;

FAMILIAR_IMPORT("generate", "text")
void fam_generate_text(const char *system, size_t system_length, const char *prompt, size_t prompt_length,
                       uint32_t max_tokens, float temperature, uint32_t has_schema, const char *schema,
                       size_t schema_length, fam_generated *result);

/* -- http --------------------------------------------------------------------------------------------- */

typedef struct { fam_string name, value; } fam_header;
typedef struct { const fam_header *ptr; size_t len; } fam_headers;
typedef struct { uint16_t status; fam_headers headers; fam_bytes body; fam_string url; } fam_response;
enum { FAM_HTTP_DENIED, FAM_HTTP_INVALID, FAM_HTTP_TOO_LARGE, FAM_HTTP_TIMEOUT, FAM_HTTP_FAILED };
typedef struct { uint8_t kind; union { fam_string words; uint64_t limit; }; } fam_http_error;
typedef struct { uint8_t is_error; union { fam_response response; fam_http_error error; }; } fam_http_result;

FAMILIAR_IMPORT("http", "send")
void fam_http_send(const char *method, size_t method_length, const char *url, size_t url_length,
                   const fam_header *headers, size_t header_count, uint32_t has_body, const void *body,
                   size_t body_length, uint32_t has_credential, const char *credential, size_t credential_length,
                   fam_http_result *result);

/* -- notify ------------------------------------------------------------------------------------------- */

typedef struct { fam_string id; int64_t at; fam_string title, body; } fam_scheduled;
typedef struct { const fam_scheduled *ptr; size_t len; } fam_scheduled_list;
enum { FAM_NOTIFY_DENIED, FAM_NOTIFY_FAILED };
typedef struct { uint8_t kind; fam_string words; } fam_notify_error;
typedef struct { uint8_t is_error; union { fam_string id; fam_notify_error error; }; } fam_notify_id;
typedef struct { uint8_t is_error; union { bool value; fam_notify_error error; }; } fam_notify_bool;
typedef struct { uint8_t is_error; union { fam_scheduled_list list; fam_notify_error error; }; } fam_pending;

/* The result's value says nothing. */
FAMILIAR_IMPORT("notify", "send")
void fam_notify_send(const char *title, size_t title_length, const char *body, size_t body_length,
                     fam_notify_bool *result);
FAMILIAR_IMPORT("notify", "schedule")
void fam_notify_schedule(const char *title, size_t title_length, const char *body, size_t body_length, int64_t at,
                         fam_notify_id *result);
FAMILIAR_IMPORT("notify", "cancel") void fam_notify_cancel(const char *id, size_t length, fam_notify_bool *result);
FAMILIAR_IMPORT("notify", "pending") void fam_notify_pending(fam_pending *result);

/* -- ask-user ----------------------------------------------------------------------------------------- */

enum { FAM_ASK_DENIED, FAM_ASK_UNANSWERED };
typedef struct { uint8_t kind; fam_string words; } fam_ask_error;
typedef struct { uint8_t is_error; union { bool yes; fam_ask_error error; }; } fam_confirmed;
typedef struct { uint8_t is_error; union { fam_option_u32 place; fam_ask_error error; }; } fam_chosen;

FAMILIAR_IMPORT("ask-user", "confirm") void fam_ask_confirm(const char *question, size_t length, fam_confirmed *result);
FAMILIAR_IMPORT("ask-user", "choose")
void fam_ask_choose(const char *question, size_t length, const fam_string *options, size_t count, fam_chosen *result);

/* -- progress ----------------------------------------------------------------------------------------- */

FAMILIAR_IMPORT("progress", "report")
void fam_progress_report(uint64_t done, uint64_t total, const char *message, size_t length);
FAMILIAR_IMPORT("progress", "is-cancelled") uint32_t fam_progress_is_cancelled(void);

/* -- memory and texts --------------------------------------------------------------------------------- */

extern unsigned char __heap_base;

/* Memory that stays until the call's end. There is no way to give it back; a call that takes more than its
 * limit is ended. */
static void *fam_alloc(size_t size, size_t align)
{
    static uintptr_t next;
    if (next == 0) next = (uintptr_t)&__heap_base;
    uintptr_t start = (next + align - 1) & ~(uintptr_t)(align - 1);
    uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
    if (size > UINT32_MAX - start) __builtin_trap();
    if (start + size > have) {
        size_t pages = (start + size - have + 0xffff) >> 16;
        if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) __builtin_trap();
    }
    next = start + size;
    return (void *)start;
}

static void fam_copy(void *to, const void *from, size_t length)
{
    __builtin_memcpy(to, from, length);
}

static bool fam_same(fam_string a, fam_string b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (a.ptr[i] != b.ptr[i]) return false;
    return true;
}

static fam_result fam_text(fam_string text)
{
    fam_result result = { .is_error = 0, .output = { .text = text } };
    return result;
}

static fam_result fam_fail(uint8_t kind, fam_string words)
{
    fam_result result = { .is_error = 1, .error = { .kind = kind, .words = words } };
    return result;
}

/* -- what the host calls ------------------------------------------------------------------------------ */

FAMILIAR_EXPORT("cabi_realloc")
void *fam_cabi_realloc(void *old, size_t old_size, size_t align, size_t new_size)
{
    void *grown = fam_alloc(new_size, align);
    if (old_size > 0) fam_copy(grown, old, old_size < new_size ? old_size : new_size);
    return grown;
}

FAMILIAR_EXPORT("familiar:plugin/tools@1.0.0#call")
const fam_result *fam_export_call(const char *tool, size_t tool_length, const char *arguments, size_t arguments_length,
                                  const char *session, size_t session_length, const char *language,
                                  size_t language_length, uint64_t deadline_ms)
{
    static fam_result result;
    fam_context context = { { session, session_length }, { language, language_length }, deadline_ms };
    result = familiar_call((fam_string){ tool, tool_length }, (fam_string){ arguments, arguments_length }, context);
    return &result;
}

#endif
