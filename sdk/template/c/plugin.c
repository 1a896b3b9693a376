/* A plugin for Familiar. `familiar plugin test` runs it; `familiar plugin build` makes a package of it. */

#include "familiar.h"
#include "json.h"

static fam_result kv_failed(fam_kv_error error)
{
    switch (error.kind) {
    case FAM_KV_DENIED: return fam_fail(FAM_DENIED, error.words);
    case FAM_KV_QUOTA: return fam_fail(FAM_FAILED, FAM_TEXT("there is no room left for another name"));
    default: return fam_fail(FAM_FAILED, error.words);
    }
}

static fam_string trimmed(fam_string text)
{
    while (text.len > 0 && text.ptr[0] == ' ') text.ptr++, text.len--;
    while (text.len > 0 && text.ptr[text.len - 1] == ' ') text.len--;
    return text;
}

static fam_result greet(fam_string arguments)
{
    fam_string name = trimmed(fam_argument(arguments, FAM_TEXT("name")));
    if (name.len == 0) return fam_fail(FAM_INVALID_ARGUMENTS, FAM_TEXT("the name is empty: say who is to be greeted"));

    fam_kv_value before;
    fam_kv_get(name.ptr, name.len, &before);
    if (before.is_error) return kv_failed(before.error);
    uint64_t times = 0;
    for (size_t i = 0; before.value.some && i < before.value.value.len; i++)
        times = times * 10 + (before.value.value.ptr[i] - '0');
    times++;

    fam_buffer count = { 0 }, text = { 0 };
    fam_put_u64(&count, times);
    fam_kv_bool set;
    fam_kv_set(name.ptr, name.len, count.ptr, count.len, &set);
    if (set.is_error) return kv_failed(set.error);

    fam_put_text(&text, times == 1 ? FAM_TEXT("Hello, ") : FAM_TEXT("Hello again, "));
    fam_put_text(&text, name);
    fam_put(&text, "!", 1);
    if (times > 1) {
        fam_put_text(&text, FAM_TEXT(" That makes "));
        fam_put_u64(&text, times);
        fam_put_text(&text, FAM_TEXT(" times."));
    }
    return fam_text(fam_written(&text));
}

static fam_result familiar_call(fam_string tool, fam_string arguments, fam_context context)
{
    (void)context;
    if (fam_same(tool, FAM_TEXT("greet"))) return greet(arguments);
    return fam_fail(FAM_NOT_FOUND, FAM_TEXT("there is no such tool"));
}
