/* The conformance guest in C: what each tool does stands in ../README.md, and in ../cases what it answers. */

#include "familiar.h"
#include "json.h"

#define TEXT(name) fam_argument(arguments, FAM_TEXT(name))
#define NUMBER(name) fam_argument_number(arguments, FAM_TEXT(name), 0)
#define BAR(buffer) fam_put((buffer), "|", 1)

static fam_result written(const fam_buffer *buffer) { return fam_text(fam_written(buffer)); }

static void put_bool(fam_buffer *to, bool truth)
{
    fam_put_text(to, truth ? FAM_TEXT("true") : FAM_TEXT("false"));
}

static fam_result fail_with(const char *word, size_t length, uint64_t number)
{
    fam_buffer text = { 0 };
    fam_put(&text, word, length);
    fam_put(&text, " ", 1);
    fam_put_u64(&text, number);
    return fam_fail(FAM_FAILED, fam_written(&text));
}

static fam_result echo(fam_string arguments) { return fam_text(TEXT("text")); }

static fam_result json(fam_string arguments)
{
    fam_result result = fam_text(FAM_TEXT("ok"));
    result.output.data = (fam_option_string){ 1, fam_json_get(arguments, FAM_TEXT("value")) };
    return result;
}

static fam_result fail(fam_string arguments)
{
    fam_string kind = TEXT("kind"), words = TEXT("words");
    if (fam_same(kind, FAM_TEXT("invalid-arguments"))) return fam_fail(FAM_INVALID_ARGUMENTS, words);
    if (fam_same(kind, FAM_TEXT("not-found"))) return fam_fail(FAM_NOT_FOUND, words);
    if (fam_same(kind, FAM_TEXT("denied"))) return fam_fail(FAM_DENIED, words);
    if (fam_same(kind, FAM_TEXT("unavailable"))) return fam_fail(FAM_UNAVAILABLE, words);
    return fam_fail(FAM_FAILED, words);
}

static fam_result context_of(fam_context context)
{
    fam_buffer text = { 0 };
    fam_put_text(&text, context.session);
    BAR(&text);
    fam_put_text(&text, context.language);
    BAR(&text);
    put_bool(&text, context.deadline_ms > 0);
    return written(&text);
}

static fam_result large(fam_string arguments)
{
    size_t bytes = (size_t)NUMBER("bytes");
    char *text = fam_alloc(bytes, 1);
    __builtin_memset(text, 'x', bytes);
    return fam_text((fam_string){ text, bytes });
}

static fam_result kv_failed(fam_kv_error error)
{
    switch (error.kind) {
    case FAM_KV_DENIED: return fam_fail(FAM_DENIED, error.words);
    case FAM_KV_QUOTA: return fail_with("quota", 5, error.quota);
    default: return fam_fail(FAM_FAILED, error.words);
    }
}

static fam_result kv_roundtrip(void)
{
    uint8_t all[256];
    for (size_t i = 0; i < sizeof all; i++) all[i] = (uint8_t)i;
    fam_kv_bool set, wrong, right, absent, deleted, again;
    fam_kv_value got, empty, none;
    fam_kv_keys keys;

    fam_kv_set("b", 1, all, sizeof all, &set);
    if (set.is_error) return kv_failed(set.error);
    fam_kv_set("a", 1, "", 0, &set);
    if (set.is_error) return kv_failed(set.error);
    fam_kv_get("b", 1, &got);
    if (got.is_error) return kv_failed(got.error);
    bool same = got.value.some && got.value.value.len == sizeof all;
    for (size_t i = 0; same && i < sizeof all; i++) same = got.value.value.ptr[i] == all[i];
    fam_kv_get("a", 1, &empty);
    if (empty.is_error) return kv_failed(empty.error);
    fam_kv_swap("b", 1, 1, "other", 5, "new", 3, &wrong);
    if (wrong.is_error) return kv_failed(wrong.error);
    fam_kv_swap("b", 1, 1, all, sizeof all, "new", 3, &right);
    if (right.is_error) return kv_failed(right.error);
    fam_kv_swap("c", 1, 0, NULL, 0, "new", 3, &absent);
    if (absent.is_error) return kv_failed(absent.error);
    fam_kv_list("", 0, &keys);
    if (keys.is_error) return kv_failed(keys.error);
    fam_kv_delete("b", 1, &deleted);
    if (deleted.is_error) return kv_failed(deleted.error);
    fam_kv_delete("b", 1, &again);
    if (again.is_error) return kv_failed(again.error);
    fam_kv_get("b", 1, &none);
    if (none.is_error) return kv_failed(none.error);

    fam_buffer text = { 0 };
    bool before[] = { same, empty.value.some && empty.value.value.len == 0, wrong.value, right.value, absent.value };
    for (size_t i = 0; i < 5; i++) {
        put_bool(&text, before[i]);
        fam_put(&text, " ", 1);
    }
    for (size_t i = 0; i < keys.keys.len; i++) {
        if (i > 0) fam_put(&text, ",", 1);
        fam_put_text(&text, keys.keys.ptr[i]);
    }
    bool after[] = { deleted.value, again.value, !none.value.some };
    for (size_t i = 0; i < 3; i++) {
        fam_put(&text, " ", 1);
        put_bool(&text, after[i]);
    }
    return written(&text);
}

static fam_result kv_set(fam_string arguments)
{
    fam_string key = TEXT("key"), value = TEXT("value");
    fam_kv_bool set;
    fam_kv_set(key.ptr, key.len, value.ptr, value.len, &set);
    return set.is_error ? kv_failed(set.error) : fam_text(FAM_TEXT("set"));
}

static fam_result time_now(void)
{
    fam_datetime now;
    fam_buffer text = { 0 };
    fam_clock_now(&now);
    fam_put_i64(&text, now.seconds);
    fam_put(&text, " ", 1);
    fam_put_u64(&text, now.nanoseconds);
    fam_put(&text, " ", 1);
    fam_put_i64(&text, fam_clock_local_offset(now.seconds));
    return written(&text);
}

static fam_result write_log(void)
{
    static const fam_string lines[] = {
        { "one", 3 }, { "zwei", 4 }, { "tr\xc3\xaas", 5 }, { "\xe5\x9b\x9b", 3 },
    };
    for (uint32_t level = FAM_DEBUG; level <= FAM_ERROR; level++) fam_log_write(level, lines[level].ptr, lines[level].len);
    return fam_text(FAM_TEXT("written"));
}

static fam_result search_failed(fam_search_error error)
{
    static const uint8_t kinds[] = { FAM_DENIED, FAM_NOT_FOUND, FAM_FAILED };
    return fam_fail(kinds[error.kind], error.words);
}

static void put_hit(fam_buffer *to, const fam_hit *hit)
{
    static const char *const origins[] = { "owner", "file", "web", "plugin" };
    static const size_t lengths[] = { 5, 4, 3, 6 };
    const fam_string texts[] = { hit->path, hit->title, hit->breadcrumb, hit->text };
    const uint64_t numbers[] = { hit->start, hit->end, hit->line };
    for (size_t i = 0; i < 4; i++) {
        fam_put_text(to, texts[i]);
        BAR(to);
    }
    for (size_t i = 0; i < 3; i++) {
        fam_put_u64(to, numbers[i]);
        BAR(to);
    }
    if (hit->page.some) fam_put_u64(to, hit->page.value);
    else fam_put(to, "-", 1);
    BAR(to);
    if (hit->score != hit->score) fam_put(to, "nan", 3);
    else if (hit->score - hit->score != 0) fam_put(to, "inf", 3);
    else fam_put_i64(to, (int64_t)(hit->score * 100));
    BAR(to);
    fam_put(to, origins[hit->origin], lengths[hit->origin]);
}

static fam_source source_of(const fam_hit *hit) { return (fam_source){ hit->path, hit->start, hit->end }; }

static fam_result find(fam_string arguments)
{
    fam_string query = TEXT("query");
    fam_hits found;
    fam_search_find(query.ptr, query.len, (uint32_t)NUMBER("limit"), &found);
    if (found.is_error) return search_failed(found.error);
    fam_buffer text = { 0 };
    fam_source *sources = fam_alloc(found.hits.len * sizeof *sources, 8);
    for (size_t i = 0; i < found.hits.len; i++) {
        if (i > 0) fam_put(&text, "\n", 1);
        put_hit(&text, &found.hits.ptr[i]);
        sources[i] = source_of(&found.hits.ptr[i]);
    }
    fam_result result = written(&text);
    result.output.sources = (fam_sources){ sources, found.hits.len };
    return result;
}

static fam_result files(fam_string arguments)
{
    fam_string suffix = TEXT("suffix"), after = { 0 };
    fam_buffer text = { 0 };
    for (;;) {
        fam_files page;
        fam_search_files(suffix.ptr, suffix.len, after.len > 0, after.ptr, after.len, &page);
        if (page.is_error) return search_failed(page.error);
        if (page.files.len == 0) return written(&text);
        for (size_t i = 0; i < page.files.len; i++) {
            const fam_file *file = &page.files.ptr[i];
            if (text.len > 0) fam_put(&text, "\n", 1);
            fam_put_text(&text, file->path);
            BAR(&text);
            fam_put_u64(&text, file->size);
            BAR(&text);
            fam_put_i64(&text, file->modified);
            after = file->path;
        }
    }
}

static fam_result read_file(fam_string arguments)
{
    fam_string path = TEXT("path");
    fam_read read;
    fam_search_read(path.ptr, path.len, (uint64_t)NUMBER("start"), (uint32_t)NUMBER("length"), &read);
    if (read.is_error) return search_failed(read.error);
    fam_buffer text = { 0 };
    fam_put_text(&text, read.hit.text);
    BAR(&text);
    fam_put_u64(&text, read.hit.start);
    BAR(&text);
    fam_put_u64(&text, read.hit.end);
    fam_source *source = fam_alloc(sizeof *source, 8);
    *source = source_of(&read.hit);
    fam_result result = written(&text);
    result.output.sources = (fam_sources){ source, 1 };
    return result;
}

static fam_result generate(fam_string arguments)
{
    fam_string system = TEXT("system"), prompt = TEXT("prompt");
    int64_t hundredths = NUMBER("temperature");
    float temperature = hundredths < 0 ? __builtin_nanf("") : (float)hundredths / 100;
    fam_generated made;
    fam_generate_text(system.ptr, system.len, prompt.ptr, prompt.len, (uint32_t)NUMBER("max_tokens"), temperature, 0,
                      NULL, 0, &made);
    fam_buffer text = { 0 };
    if (made.is_error) {
        switch (made.error.kind) {
        case FAM_GENERATE_DENIED: return fam_fail(FAM_DENIED, made.error.words);
        case FAM_GENERATE_BUDGET: return fail_with("budget", 6, made.error.left);
        case FAM_GENERATE_FAILED: return fam_fail(FAM_FAILED, made.error.words);
        default:
            fam_put(&text, "too-long ", 9);
            fam_put_u64(&text, made.error.too_long.tokens);
            fam_put(&text, " ", 1);
            fam_put_u64(&text, made.error.too_long.fit);
            return fam_fail(FAM_FAILED, fam_written(&text));
        }
    }
    fam_put_text(&text, made.reply.text);
    BAR(&text);
    fam_put_u64(&text, made.reply.prompt_tokens);
    BAR(&text);
    fam_put_u64(&text, made.reply.completion_tokens);
    BAR(&text);
    put_bool(&text, made.reply.cut);
    return written(&text);
}

static bool is_content_type(fam_string name)
{
    static const char wanted[] = "content-type";
    if (name.len != sizeof wanted - 1) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != wanted[i]) return false;
    }
    return true;
}

static fam_result request(fam_string arguments)
{
    static const fam_header headers[] = { { { "X-One", 5 }, { "1", 1 } }, { { "X-Two", 5 }, { "zwei", 4 } } };
    fam_string method = TEXT("method"), url = TEXT("url"), body = TEXT("body"), credential = TEXT("credential");
    bool has_body = fam_json_get(arguments, FAM_TEXT("body")).ptr, has_credential = credential.len > 0;
    fam_http_result sent;
    fam_http_send(method.ptr, method.len, url.ptr, url.len, headers, 2, has_body, body.ptr, body.len, has_credential,
                  credential.ptr, credential.len, &sent);
    if (sent.is_error) {
        switch (sent.error.kind) {
        case FAM_HTTP_DENIED: return fam_fail(FAM_DENIED, sent.error.words);
        case FAM_HTTP_INVALID: return fam_fail(FAM_INVALID_ARGUMENTS, sent.error.words);
        case FAM_HTTP_TOO_LARGE: return fail_with("too-large", 9, sent.error.limit);
        case FAM_HTTP_TIMEOUT: return fam_fail(FAM_UNAVAILABLE, FAM_TEXT("timeout"));
        default: return fam_fail(FAM_FAILED, sent.error.words);
        }
    }
    const fam_response *response = &sent.response;
    fam_string kind = FAM_TEXT("-");
    for (size_t i = response->headers.len; i-- > 0;)
        if (is_content_type(response->headers.ptr[i].name)) kind = response->headers.ptr[i].value;
    fam_buffer text = { 0 };
    fam_put_u64(&text, response->status);
    BAR(&text);
    fam_put_text(&text, response->url);
    BAR(&text);
    fam_put_text(&text, kind);
    BAR(&text);
    fam_put(&text, (const char *)response->body.ptr, response->body.len);
    return written(&text);
}

static fam_result notify_failed(fam_notify_error error)
{
    return fam_fail(error.kind == FAM_NOTIFY_DENIED ? FAM_DENIED : FAM_FAILED, error.words);
}

static fam_result notices(fam_string arguments)
{
    fam_string title = TEXT("title"), body = TEXT("body");
    fam_notify_bool sent, cancelled, again;
    fam_notify_id planned;
    fam_pending pending, left;
    fam_notify_send(title.ptr, title.len, body.ptr, body.len, &sent);
    if (sent.is_error) return notify_failed(sent.error);
    fam_notify_schedule(title.ptr, title.len, body.ptr, body.len, NUMBER("at"), &planned);
    if (planned.is_error) return notify_failed(planned.error);
    fam_notify_pending(&pending);
    if (pending.is_error) return notify_failed(pending.error);
    fam_notify_cancel(planned.id.ptr, planned.id.len, &cancelled);
    if (cancelled.is_error) return notify_failed(cancelled.error);
    fam_notify_cancel(planned.id.ptr, planned.id.len, &again);
    if (again.is_error) return notify_failed(again.error);
    fam_notify_pending(&left);
    if (left.is_error) return notify_failed(left.error);

    fam_buffer text = { 0 };
    for (size_t i = 0; i < pending.list.len; i++) {
        const fam_scheduled *one = &pending.list.ptr[i];
        if (i > 0) fam_put(&text, "\n", 1);
        fam_put_text(&text, one->id);
        BAR(&text);
        fam_put_i64(&text, one->at);
        BAR(&text);
        fam_put_text(&text, one->title);
        BAR(&text);
        fam_put_text(&text, one->body);
    }
    fam_put(&text, "\n", 1);
    put_bool(&text, cancelled.value);
    fam_put(&text, " ", 1);
    put_bool(&text, again.value);
    fam_put(&text, " ", 1);
    fam_put_u64(&text, left.list.len);
    return written(&text);
}

static fam_result ask_failed(fam_ask_error error)
{
    if (error.kind == FAM_ASK_DENIED) return fam_fail(FAM_DENIED, error.words);
    return fam_fail(FAM_UNAVAILABLE, FAM_TEXT("unanswered"));
}

static fam_result confirm(fam_string arguments)
{
    fam_string question = TEXT("question");
    fam_confirmed answer;
    fam_ask_confirm(question.ptr, question.len, &answer);
    if (answer.is_error) return ask_failed(answer.error);
    return fam_text(answer.yes ? FAM_TEXT("true") : FAM_TEXT("false"));
}

static fam_result choose(fam_string arguments)
{
    fam_string question = TEXT("question"), list = fam_json_get(arguments, FAM_TEXT("options")), item;
    size_t count = 0;
    for (size_t at = 0; fam_json_next(list, &at, &item);) count++;
    fam_string *options = fam_alloc(count * sizeof *options, 4);
    size_t filled = 0;
    for (size_t at = 0; fam_json_next(list, &at, &item);) options[filled++] = fam_json_text(item);
    fam_chosen answer;
    fam_ask_choose(question.ptr, question.len, options, count, &answer);
    if (answer.is_error) return ask_failed(answer.error);
    fam_buffer text = { 0 };
    if (answer.place.some) fam_put_u64(&text, answer.place.value);
    else fam_put(&text, "none", 4);
    return written(&text);
}

static fam_result steps(fam_string arguments)
{
    uint64_t count = (uint64_t)NUMBER("count");
    for (uint64_t done = 0; done < count; done++) fam_progress_report(done, count, "step", 4);
    fam_buffer text = { 0 };
    fam_put_u64(&text, count);
    fam_put(&text, " ", 1);
    put_bool(&text, fam_progress_is_cancelled() != 0);
    return written(&text);
}

static fam_result spin(void)
{
    while (!fam_progress_is_cancelled()) {}
    return fam_fail(FAM_FAILED, FAM_TEXT("cancelled"));
}

static fam_result familiar_call(fam_string tool, fam_string arguments, fam_context context)
{
    static const struct { fam_string name; fam_result (*run)(fam_string); } with[] = {
        { { "echo", 4 }, echo },         { { "json", 4 }, json },         { { "fail", 4 }, fail },
        { { "large", 5 }, large },       { { "kv_set", 6 }, kv_set },     { { "find", 4 }, find },
        { { "files", 5 }, files },       { { "read", 4 }, read_file },    { { "generate", 8 }, generate },
        { { "request", 7 }, request },   { { "notices", 7 }, notices },   { { "confirm", 7 }, confirm },
        { { "choose", 6 }, choose },     { { "steps", 5 }, steps },
    };
    static const struct { fam_string name; fam_result (*run)(void); } without[] = {
        { { "kv_roundtrip", 12 }, kv_roundtrip }, { { "time", 4 }, time_now },
        { { "write_log", 9 }, write_log },        { { "spin", 4 }, spin },
    };
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        if (fam_same(tool, with[i].name)) return with[i].run(arguments);
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (fam_same(tool, without[i].name)) return without[i].run();
    if (fam_same(tool, FAM_TEXT("context"))) return context_of(context);
    return fam_fail(FAM_NOT_FOUND, FAM_TEXT("there is no such tool"));
}
