//! The rules for keys and tokens that have a form of their own: a prefix, a length, an alphabet.

use super::chance;
use super::rules::{Hit, Rule, alone, alone_and_random, any, guess, judged, token};
use std::ops::Range;

/// Bytes of a private key that are looked at for its end.
const KEY: usize = 32 * 1024;

/// The table.
pub const RULES: &[Rule] = &[
    token("aws-access-key", "akia|asia|abia|acca|a3t", r"((?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16})"),
    guess("aws-secret-key", "aws|amazon|secret|access", r"(?i:aws|amazon|secret|access)[ -~\t]{0,80}?([A-Za-z0-9/+]{40})"),
    token("github-token", "ghp_|gho_|ghu_|ghs_|ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    token("github-fine-grained", "github_pat_", r"github_pat_[A-Za-z0-9_]{40,255}"),
    token("gitlab-token", "glpat-|gldt-|glrt-|glcbt-|glptt-|glft-|glsoat-|glagent-|glimt-|gloas-",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt|oas)-[A-Za-z0-9_.-]{20,300}"),
    token("gitlab-runner", "gr1348941", r"GR1348941[A-Za-z0-9_-]{20,}"),
    token("slack-token", "xox|xapp-|xwfp-", r"(?:xox[a-z](?:\.xox[a-z])?|xapp|xwfp)-[A-Za-z0-9%-]{10,}"),
    token("slack-webhook", "hooks.slack", r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{16,}"),
    token("webhook", "webhook|hooks.zapier",
        r"(?:discord(?:app)?\.com/api/webhooks/[0-9]{15,}/[A-Za-z0-9_-]{40,}|webhook\.office\.com/webhookb2/[A-Za-z0-9@/-]{40,}|hooks\.zapier\.com/hooks/catch/[0-9]+/[A-Za-z0-9]+)"),
    token("stripe-key", "_live_|_test_|whsec_", r"(?:(?:sk|rk|pk|sess)_(?:live|test|prod)_[A-Za-z0-9]{10,255}|whsec_[A-Za-z0-9+/=]{16,})"),
    token("openai-key", "sk-", r"sk-(?:(?:proj|svcacct|admin|None|or-v1|lf)-[A-Za-z0-9_-]{20,250}|[A-Za-z0-9]{20,100})"),
    token("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9]{2,10}-[A-Za-z0-9_-]{20,250}"),
    token("google-api-key", "aiza", r"AIza[A-Za-z0-9_-]{35}"),
    token("google-oauth", "gocspx-|ya29.|1//0", r"(?:GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_.-]{20,}|1//0[A-Za-z0-9_-]{40,})"),
    token("hugging-face-token", "hf_|api_org_", r"(?:hf|api_org)_[A-Za-z0-9]{30,40}"),
    token("npm-token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    token("pypi-token", "pypi-", r"pypi-[A-Za-z0-9_-]{50,1000}"),
    token("telegram-bot-token", "", r"[0-9]{8,10}:([A-Za-z0-9_-]{35})"),
    guess("discord-token", "", r"([MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{25,110})"),
    token("discord-token", "mfa.", r"mfa\.[A-Za-z0-9_-]{80,}"),
    token("jwt", "eyj", r"ey[A-Za-z0-9_-]{10,}\.ey[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    token("jwe", "eyj", r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    judged("private-key", "private key", r"-{4,5} ?BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}", block),
    judged("putty-key", "private-lines", r"Private-Lines: *[0-9]+", block),
    token("encoded-pem", "ls0tls1crudj", r"LS0tLS1CRUdJT[A-Za-z0-9+/=]{20,}"),
    token("openssh-key", "b3blbnnzac1rzxkt", r"b3BlbnNzaC1rZXkt[A-Za-z0-9+/=]{20,}"),
    token("age-key", "age-secret-key-|age-plugin-", r"(?i)AGE-(?:SECRET-KEY|PLUGIN-[A-Z0-9]+)-1[0-9A-Z]{40,70}"),
    token("wireguard-key", "privatekey|presharedkey|private-key|private_key|private key|wireguard|wg",
        r"(?i:private[ _-]?key|preshared[ _-]?key|wireguard|wg)[ -~\t]{0,40}?([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)"),
    judged("key-pair-part", "\"d\"|\"k\"|\"p\"|\"q\"", r#""(?:d|k|p|q)" ?: ?"([A-Za-z0-9_-]{20,})""#, alone_and_random),
    token("url-with-password", "://",
        r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[A-Za-z0-9!#$%&*+,.;=?^_~-]{0,80}:([A-Za-z0-9!#$%&*+,.;:=?^_~(){}<>|'-]{2,200})@[A-Za-z0-9.\[$<{-]").with(url_password),
    token("azure-key", "accountkey|accesskey|8q~|sig=",
        r"(?:(?i:accountkey|accesskey)=[A-Za-z0-9+/]{40,}={0,2}|[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}|[?&]sig=[A-Za-z0-9%+/]{30,})"),
    token("digitalocean-token", "dop_v1_|doo_v1_|dor_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    token("sendgrid-key", "sg.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    token("twilio-key", "sk", r"SK[0-9a-fA-F]{32}"),
    token("mailgun-key", "key-", r"key-[0-9a-f]{32}"),
    token("mailchimp-key", "-us", r"[0-9a-f]{32}-us[0-9]{1,2}"),
    token("brevo-key", "xkeysib-|xsmtpsib-", r"x(?:key|smtp)sib-[A-Za-z0-9-]{40,}"),
    token("shopify-token", "shp", r"shp(?:at|ca|pa|ss|tka|ua)_[a-fA-F0-9]{24,64}"),
    token("square-token", "sq0|eaaa", r"(?:sq0[a-z]{3}-[A-Za-z0-9_-]{22,43}|EAAA[A-Za-z0-9_+=-]{56,})"),
    token("facebook-token", "eaa", r"EAA[A-Za-z0-9]{60,}"),
    token("databricks-token", "dapi", r"dapi[a-h0-9]{32}(?:-[0-9])?"),
    token("doppler-token", "dp.", r"dp\.(?:pt|st|sa|ct|scim|audit)\.[A-Za-z0-9_.-]{30,}"),
    token("linear-key", "lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    token("notion-key", "secret_|ntn_", r"(?:secret|ntn)_[A-Za-z0-9]{40,50}"),
    token("figma-token", "figd_", r"fig[dour]_[A-Za-z0-9_-]{20,}"),
    token("grafana-token", "glsa_|glc_", r"(?:glsa|glc)_[A-Za-z0-9+/=_]{30,}"),
    token("vault-token", "hvs.|hvb.|hvr.", r"hv[sbr]\.[A-Za-z0-9_-]{20,300}"),
    token("terraform-token", "atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"),
    token("heroku-key", "hrku-", r"HRKU-[A-Za-z0-9_-]{36,70}"),
    token("fly-token", "fo1_|fm1|fm2_", r"(?:fo1_|fm1[ar]_|fm2_)[A-Za-z0-9+/=_-]{40,}"),
    token("netlify-token", "nfp_|nfc_", r"nf[pc]_[A-Za-z0-9]{30,}"),
    token("supabase-key", "sbp_|sb_secret_", r"(?:sbp_|sb_secret_)[A-Za-z0-9_-]{30,}"),
    token("planetscale-key", "pscale_", r"pscale_[a-z]{2,6}_[A-Za-z0-9_.=-]{32,64}"),
    token("postman-key", "pmak-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    token("new-relic-key", "nrak-|nrii-|nrjs-", r"(?:NRAK|NRII|NRJS)-[A-Za-z0-9_-]{19,40}"),
    token("sentry-token", "sntry", r"sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    token("docker-token", "dckr_", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    token("dropbox-token", "sl.", r"sl\.(?:u\.)?[A-Za-z0-9_-]{80,}"),
    token("atlassian-token", "atatt3|atctt3|atbb|atsct", r"(?:AT[AC]TT3[A-Za-z0-9_=-]{40,}|ATBB[A-Za-z0-9]{32}|ATSCT[A-Za-z0-9_=-]{40,})"),
    token("cloudflare-key", "v1.0-", r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}"),
    guess("model-host-key", "gsk_|pplx-|r8_|xai-|tvly-|fw_|nvapi-|jina_|csk-|sk_",
        r"(?:gsk_|pplx-|r8_|xai-|tvly-|fw_|nvapi-|jina_|csk-|sk_)[A-Za-z0-9_-]{24,120}"),
    token("alibaba-key", "ltai", r"LTAI[A-Za-z0-9]{12,24}"),
    token("tencent-key", "akid", r"AKID[A-Za-z0-9]{32}"),
    token("rubygems-key", "rubygems_", r"rubygems_[a-f0-9]{48}"),
    token("crates-io-token", "cio", r"cio[A-Za-z0-9]{32}"),
    token("clojars-token", "clojars_", r"(?i)CLOJARS_[a-z0-9]{60}"),
    token("nuget-key", "oy2", r"oy2[a-z0-9]{43}"),
    token("pulumi-token", "pul-", r"pul-[a-f0-9]{40}"),
    token("tailscale-key", "tskey-", r"tskey-[a-z]+-[A-Za-z0-9-]{12,}"),
    token("one-password-token", "ops_eyj", r"ops_eyJ[A-Za-z0-9+/=_-]{40,}"),
    token("artifactory-key", "akcp", r"AKCp[A-Za-z0-9]{60,80}"),
    token("twitch-token", "oauth:", r"oauth:[a-z0-9]{30}"),
    token("airtable-key", "pat", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    token("contentful-token", "cfpat-", r"CFPAT-[A-Za-z0-9_-]{40,}"),
    token("easypost-key", "ezak|eztk", r"EZ[AT]K[A-Za-z0-9]{54}"),
    token("otp-seed", "otpauth|otpauth-migration", r"otpauth(?:-migration)?://[!-~]{8,}"),
    token("wifi-code", "wifi:", r"WIFI:[A-Z]:[ -~]{0,80}P:[!-~]{4,}"),
    judged("password-hash", "$2|$5$|$6$|$y$|$1$|$apr1$|$argon2|pbkdf2|$7$",
        r"(?:\$2[abxy]\$[0-9]{2}\$[A-Za-z0-9./]{53}|\$(?:1|5|6|7|y|apr1)\$[A-Za-z0-9./=$,]{20,}|\$argon2(?:id|i|d)\$[A-Za-z0-9=,$+/]{30,}|pbkdf2_sha[0-9]+\$[0-9]+\$[A-Za-z0-9+/=$]{20,})", any),
    // Coins.
    guess("bitcoin-key", "", r"([5KLc9][1-9A-HJ-NP-Za-km-z]{50,51})"),
    token("wallet-key", "prv", r"[xyzYZtuvUV]prv[1-9A-HJ-NP-Za-km-z]{100,112}"),
    token("ethereum-key", "0x", r"0x[0-9a-fA-F]{64}"),
    token("nostr-key", "nsec1", r"nsec1[ac-hj-np-z02-9]{58}"),
    // What only chance tells.
    judged("long-hex", "", r"[0-9a-fA-F]{48,}", long_hex),
    token("long-token", "", r"[A-Za-z0-9+/_-]{40,}={0,2}").with(long_token),
];

impl Rule {
    /// The rule, with another judge.
    const fn with(self, judge: fn(&Hit) -> Option<Range<usize>>) -> Self {
        Self { judge, entropy: 0.0, ..self }
    }
}

/// A password in a URL, unless the URL only shows where one goes.
fn url_password(hit: &Hit) -> Option<Range<usize>> {
    let value = hit.value().to_ascii_lowercase();
    let shown = ["password", "passwd", "pass", "pwd", "pw", "secret", "token", "port", "passwort"];
    let placeholder = value.starts_with(['$', '{', '<', '*', '%'].as_slice())
        && !value.bytes().any(|b| b.is_ascii_digit())
        || value.bytes().all(|b| b"*x.".contains(&b));
    (!placeholder && !shown.contains(&value.as_str())).then(|| hit.value.clone())
}

/// Long runs of hex digits that are not the digest of something.
fn long_hex(hit: &Hit) -> Option<Range<usize>> {
    alone(hit)?;
    let value = hit.value();
    let digest_sized = [56, 64, 96, 128].contains(&value.len());
    let named = {
        let around = [hit.before(80), hit.after(40)].concat().to_ascii_lowercase();
        ["sha", "hash", "digest", "checksum", "blake", "commit", "integrity", "md5", "sum", "fingerprint"].iter().any(|word| around.contains(word))
            // As `sha256sum` writes it.
            || hit.after(2) == "  "
    };
    let is = chance::makeup(value);
    let mixed = is.digits >= 4 && is.lower + is.upper >= 4;
    (mixed && !(digest_sized && named) && chance::entropy(value) >= 3.0).then(|| hit.value.clone())
}

/// Long runs that are drawn by chance, but for public keys and digests.
fn long_token(hit: &Hit) -> Option<Range<usize>> {
    let public = ["AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "AAAAGnNr", "AAAAInNr"]
        .iter()
        .any(|start| hit.value().starts_with(start));
    let digest = hit.value().starts_with("sha256-")
        || hit.value().starts_with("sha512-")
        || hit.value().starts_with("sha384-")
        || ["SHA256:", "h1:"].iter().any(|name| hit.before(8).ends_with(name));
    (!public && !digest && chance::surely_random(hit.value())).then(|| hit.value.clone())
}

/// A private key from its first line to its last. One that is cut off ends where its lines stop looking like a key's.
fn block(hit: &Hit) -> Option<Range<usize>> {
    let body = hit.after(KEY);
    let begins_again = body.find("BEGIN ").unwrap_or(body.len());
    if let Some(end) = body[..begins_again].find("-----END").or_else(|| body[..begins_again].find("---- END"))
    {
        let line = body[end..].find('\n').unwrap_or(body.len() - end);
        return Some(hit.whole.start..hit.whole.end + end + line);
    }
    let mut end = hit.whole.end;
    for line in body.split_inclusive('\n') {
        let bare = line
            .trim_matches([' ', '\t', '\r', '\n', '>', '|', '#', '*', '"', '\'', '+', ',', '\\'].as_slice());
        let header = ["Proc-Type:", "DEK-Info:", "Version:", "Comment:", "Hash:", "Private-MAC:"]
            .iter()
            .any(|name| bare.starts_with(name));
        let base64 = bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        if !header && !base64 {
            break;
        }
        end += line.len();
    }
    Some(hit.whole.start..end)
}
