//! Places whose content never enters the index, whatever the settings say: keys, keyrings, password
//! stores, browser profiles, shell histories. A pure function of a path; it looks at no file.

use std::path::{Component, Path};

/// Folders that are denied with all below them, by their own name.
const FOLDERS: &[(&str, &str)] = &[
    (".ssh", "SSH keys"),
    (".gnupg", "GnuPG keys"),
    (".pki", "certificates and keys"),
    (".mozilla", "a browser profile"),
    (".thunderbird", "a mail profile with passwords"),
    (".librewolf", "a browser profile"),
    (".zen", "a browser profile"),
    (".tor-browser", "a browser profile"),
    ("google-chrome", "a browser profile"),
    ("google-chrome-beta", "a browser profile"),
    ("chromium", "a browser profile"),
    ("bravesoftware", "a browser profile"),
    ("microsoft-edge", "a browser profile"),
    ("vivaldi", "a browser profile"),
    ("opera", "a browser profile"),
    ("epiphany", "a browser profile"),
    ("qutebrowser", "a browser profile"),
    (".password-store", "a password store"),
    ("1password", "a password store"),
    (".1password", "a password store"),
    ("bitwarden", "a password store"),
    ("bitwarden cli", "a password store"),
    ("keepass", "a password store"),
    ("keepassxc", "a password store"),
    ("lastpass", "a password store"),
    ("enpass", "a password store"),
    ("keyrings", "a keyring"),
    ("kwalletd", "a keyring"),
    ("kwallet", "a keyring"),
    (".aws", "cloud credentials"),
    (".azure", "cloud credentials"),
    (".kube", "cluster credentials"),
    (".vault", "a secrets store"),
];

/// Folders that are denied only below one certain other: (`parent`, `folder`, reason).
const NESTED: &[(&str, &str, &str)] = &[
    (".config", "gcloud", "cloud credentials"),
    (".config", "gh", "access tokens"),
    (".config", "op", "a password store"),
    (".config", "age", "encryption keys"),
    (".config", "sops", "encryption keys"),
    ("share", "familiar", "Familiar's own data"),
    ("state", "familiar", "Familiar's own data"),
];

/// Parents below which an ambiguous folder name of [`FOLDERS`] means a profile. Elsewhere such a
/// name (documentation of chromium, sources of opera) is only a name.
const PROFILE_PARENTS: &[&str] =
    &[".config", ".cache", "share", "config", "snap", ".var", "app", "application support"];

/// Files, by their whole name.
const FILES: &[(&str, &str)] = &[
    (".netrc", "passwords"),
    ("_netrc", "passwords"),
    (".pgpass", "passwords"),
    (".my.cnf", "passwords"),
    (".git-credentials", "passwords"),
    (".npmrc", "access tokens"),
    (".pypirc", "access tokens"),
    (".htpasswd", "passwords"),
    (".vault-token", "access tokens"),
    (".bash_history", "a shell history"),
    (".zsh_history", "a shell history"),
    (".histfile", "a shell history"),
    (".sh_history", "a shell history"),
    (".ksh_history", "a shell history"),
    ("fish_history", "a shell history"),
    (".python_history", "a shell history"),
    (".node_repl_history", "a shell history"),
    (".psql_history", "a shell history"),
    (".mysql_history", "a shell history"),
    (".sqlite_history", "a shell history"),
    (".lesshst", "a shell history"),
    (".viminfo", "an editor history"),
    ("shadow", "password hashes"),
    ("gshadow", "password hashes"),
    ("logins.json", "a browser's passwords"),
    ("key4.db", "a browser's passwords"),
    ("login data", "a browser's passwords"),
];

const EXTENSIONS: &[(&str, &str)] = &[
    ("kdbx", "a password store"),
    ("kdb", "a password store"),
    ("keychain", "a keyring"),
    ("keyring", "a keyring"),
    ("agilekeychain", "a password store"),
    ("opvault", "a password store"),
    ("pem", "a private key or certificate"),
    ("key", "a private key"),
    ("p12", "a private key"),
    ("pfx", "a private key"),
    ("jks", "a private key"),
    ("keystore", "a private key"),
    ("ppk", "a private key"),
    ("gpg", "an encrypted file"),
    ("asc.key", "a private key"),
    ("ovpn", "a private key"),
];

/// Why a path is denied, or `None`. `own` is Familiar's own folders; everything below them is denied.
pub fn denied_with(path: &Path, own: &[std::path::PathBuf]) -> Option<&'static str> {
    if own.iter().any(|folder| path.starts_with(folder)) {
        return Some("Familiar's own data");
    }
    denied(path)
}

/// Why a path is denied, or `None`. Every component counts, so a copy of `.ssh` anywhere is denied.
pub fn denied(path: &Path) -> Option<&'static str> {
    let mut parent = String::new();
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        let name = name.to_string_lossy().to_lowercase();
        if let Some(reason) = folder(&parent, &name).or_else(|| file(&parent, &name)) {
            return Some(reason);
        }
        parent = name;
    }
    None
}

fn folder(parent: &str, name: &str) -> Option<&'static str> {
    if let Some((_, _, reason)) = NESTED.iter().find(|(above, own, _)| *above == parent && *own == name) {
        return Some(reason);
    }
    let (_, reason) = FOLDERS.iter().find(|(own, _)| *own == name)?;
    let ambiguous = !name.starts_with('.') && *reason != "a keyring";
    (!ambiguous || PROFILE_PARENTS.contains(&parent)).then_some(reason)
}

fn file(parent: &str, name: &str) -> Option<&'static str> {
    if name == ".env" || name.starts_with(".env.") || name == ".envrc" {
        return Some("an environment file with secrets");
    }
    let key = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_xmss"].iter().any(|k| name.starts_with(k));
    if key && !name.ends_with(".pub") {
        return Some("an SSH key");
    }
    if parent == ".docker" && name == "config.json" {
        return Some("registry credentials");
    }
    if let Some((_, reason)) = FILES.iter().find(|(own, _)| *own == name) {
        return Some(reason);
    }
    let (stem, extension) = name.rsplit_once('.')?;
    let (_, reason) = EXTENSIONS.iter().find(|(own, _)| *own == extension)?;
    (!stem.is_empty()).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_denied_wherever_they_lie() {
        for path in [
            "/home/a/.ssh/config",
            "/home/a/.ssh",
            "/home/a/backup/.ssh/id_rsa",
            "/home/a/.gnupg/pubring.kbx",
            "/home/a/.local/share/keyrings/login.keyring",
            "/home/a/.local/share/kwalletd/kdewallet.kwl",
            "/home/a/.mozilla/firefox/x/logins.json",
            "/home/a/snap/firefox/common/.mozilla/firefox/x/places.sqlite",
            "/home/a/.config/google-chrome/Default/Preferences",
            "/home/a/.config/chromium/Default",
            "/home/a/.config/BraveSoftware/Brave-Browser",
            "/home/a/.password-store/mail.gpg",
            "/home/a/.config/1Password/x",
            "/home/a/.config/Bitwarden/data.json",
            "/home/a/.config/keepassxc/keepassxc.ini",
            "/home/a/project/.env",
            "/home/a/project/.env.local",
            "/home/a/Passwords.KDBX",
            "/home/a/keys/id_ed25519",
            "/home/a/keys/id_rsa.old",
            "/home/a/tls/server.pem",
            "/home/a/tls/server.key",
            "/home/a/.bash_history",
            "/home/a/.local/share/fish/fish_history",
            "/home/a/.netrc",
            "/home/a/.aws/credentials",
            "/home/a/.kube/config",
            "/home/a/.docker/config.json",
            "/home/a/.config/gh/hosts.yml",
        ] {
            assert!(denied(Path::new(path)).is_some(), "{path}");
        }
    }

    #[test]
    fn names_that_only_sound_alike_are_let_in() {
        for path in [
            "/usr/share/doc/openssh-client/README",
            "/usr/share/doc/gnupg/README",
            "/home/a/chromium/README.md",
            "/home/a/notes/keepass.md",
            "/home/a/keys/id_rsa.pub",
            "/home/a/notes/environment.md",
            "/home/a/project/config.json",
            "/home/a/project/env.rs",
            "/usr/share/doc/bash/README.Debian.gz",
        ] {
            assert_eq!(denied(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn own_data_is_denied() {
        let own = [std::path::PathBuf::from("/home/a/.local/share/familiar")];
        assert!(denied_with(Path::new("/home/a/.local/share/familiar/index/catalog.db"), &own).is_some());
        assert_eq!(denied_with(Path::new("/home/a/.local/share/other"), &own), None);
    }
}
