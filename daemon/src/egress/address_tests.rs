use super::*;
use proptest::prelude::*;

/// Every block of IANA's two special-purpose registries (and the multicast and reserved ranges, which
/// stand in registries of their own) with its first and last address. None of them is public, whatever the
/// registry says of its reach.
const SPECIAL: [(&str, &str, &str); 54] = [
    ("0.0.0.0/8", "0.0.0.0", "0.255.255.255"),
    ("0.0.0.0/32", "0.0.0.0", "0.0.0.0"),
    ("10.0.0.0/8", "10.0.0.0", "10.255.255.255"),
    ("100.64.0.0/10", "100.64.0.0", "100.127.255.255"),
    ("127.0.0.0/8", "127.0.0.0", "127.255.255.255"),
    ("169.254.0.0/16", "169.254.0.0", "169.254.255.255"),
    ("metadata", "169.254.169.254", "169.254.170.2"),
    ("172.16.0.0/12", "172.16.0.0", "172.31.255.255"),
    ("192.0.0.0/24", "192.0.0.0", "192.0.0.255"),
    ("192.0.0.0/29", "192.0.0.0", "192.0.0.7"),
    ("192.0.0.8/32", "192.0.0.8", "192.0.0.8"),
    ("192.0.0.9/32", "192.0.0.9", "192.0.0.9"),
    ("192.0.0.10/32", "192.0.0.10", "192.0.0.10"),
    ("192.0.0.170/31", "192.0.0.170", "192.0.0.171"),
    ("192.0.2.0/24", "192.0.2.0", "192.0.2.255"),
    ("192.31.196.0/24", "192.31.196.0", "192.31.196.255"),
    ("192.52.193.0/24", "192.52.193.0", "192.52.193.255"),
    ("192.88.99.0/24", "192.88.99.0", "192.88.99.255"),
    ("192.168.0.0/16", "192.168.0.0", "192.168.255.255"),
    ("192.175.48.0/24", "192.175.48.0", "192.175.48.255"),
    ("198.18.0.0/15", "198.18.0.0", "198.19.255.255"),
    ("198.51.100.0/24", "198.51.100.0", "198.51.100.255"),
    ("203.0.113.0/24", "203.0.113.0", "203.0.113.255"),
    ("224.0.0.0/4", "224.0.0.0", "239.255.255.255"),
    ("240.0.0.0/4", "240.0.0.0", "255.255.255.254"),
    ("255.255.255.255/32", "255.255.255.255", "255.255.255.255"),
    ("::1/128", "::1", "::1"),
    ("::/128", "::", "::"),
    ("::/96, IPv4-compatible", "::2", "::ffff:ffff"),
    ("::ffff:0:0/96 of private", "::ffff:10.0.0.0", "::ffff:10.255.255.255"),
    ("::ffff:0:0:0/96, translated", "::ffff:0:8.8.8.8", "::ffff:0:127.0.0.1"),
    ("64:ff9b::/96 of private", "64:ff9b::192.168.0.0", "64:ff9b::192.168.255.255"),
    ("64:ff9b::/96 of loopback", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1"),
    ("64:ff9b:1::/48", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    ("100::/64", "100::", "100::ffff:ffff:ffff:ffff"),
    ("100:0:0:1::/64", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"),
    ("2001::/23", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::/32", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:1::1/128", "2001:1::1", "2001:1::3"),
    ("2001:2::/48", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
    ("2001:3::/32", "2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:4:112::/48", "2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff"),
    ("2001:10::/28", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:20::/28", "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:30::/28", "2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::/16", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2620:4f:8000::/48", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::/20", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("5f00::/16", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fc00::/7", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fe80::/10", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fec0::/10, site-local", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("ff00::/8", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

#[test]
fn no_special_purpose_address_is_public() {
    for (block, first, last) in SPECIAL {
        for address in [first, last] {
            assert_ne!(judge(ip(address)), Public, "{block}: {address}");
        }
    }
}

#[test]
fn their_neighbours_and_well_known_addresses_are_public() {
    for address in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "8.8.8.8",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2003::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "3ffe:ffff::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ] {
        assert_eq!(judge(ip(address)), Public, "{address}");
    }
}

#[test]
fn only_networks_of_ones_own_can_be_opened() {
    for address in ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd00::1", "fe80::1", "::ffff:127.0.0.1"] {
        assert!(matches!(judge(ip(address)), Local(_)), "{address}");
    }
    for address in ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "192.0.2.1", "2002:7f00:1::"]
    {
        assert!(matches!(judge(ip(address)), Never(_)), "{address}");
    }
}

fn granted() -> grants::Http {
    grants::Http { hosts: vec!["*".into()], methods: vec!["GET".into()] }
}

/// What a URL that any host is granted for would be refused for, before or after a look-up that finds
/// only public addresses.
fn verdict(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let place = Place::of(&url, "GET", &granted(), &[]).map_err(|error| error.to_string())?;
    let public: Resolve = Arc::new(|_| Box::pin(async { Ok(vec![ip("8.8.8.8")]) }));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(place.addresses(&public, judge));
    found.map(drop).map_err(|error| error.to_string())
}

#[test]
fn this_machine_is_refused_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "a.b.LocalHost.",
        "ｌｏｃａｌｈｏｓｔ",
        "printer.local",
        "db.internal",
        "router",
        "nas.lan",
        "x.home.arpa",
        "169.254.169.254",
        "0xa9fea9fe",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.100.100.200",
    ] {
        assert!(verdict(&format!("http://{host}/")).is_err(), "{host}");
    }
    assert!(Url::parse("http://[fe80::1%25eth0]/").is_err());
    assert_eq!(verdict("https://example.org/"), Ok(()));
    assert_eq!(verdict("https://notlocalhost.org/"), Ok(()));
}

#[test]
fn a_private_host_is_opened_exactly_and_by_name() {
    let place = |url: &str, hosts: &[&str], private: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        let granted = grants::Http { hosts: own(hosts), methods: vec!["GET".into()] };
        Place::of(&Url::parse(url).unwrap(), "GET", &granted, &own(private))
    };
    assert!(place("http://nas.local/", &["nas.local"], &["nas.local"]).unwrap().listed);
    assert!(place("http://127.0.0.1:8080/", &["127.0.0.1:8080"], &["127.0.0.1:8080"]).unwrap().listed);
    assert!(place("http://[::1]:80/", &["[::1]"], &["[::1]:80"]).unwrap().listed);
    assert!(place("https://NAS.local/", &["*.local"], &["nas.LOCAL"]).unwrap().listed);
    assert!(matches!(place("http://nas.local/", &["*"], &["nas.local"]), Err(Error::ByName { .. })));
    assert!(matches!(
        place("http://nas.local:81/", &["nas.local:81"], &["nas.local"]),
        Err(Error::Local { .. })
    ));
    assert!(!place("http://127.0.0.1:8081/", &["127.0.0.1:8081"], &["127.0.0.1:8080"]).unwrap().listed);
    assert!(!place("http://x.nas.org/", &["*.nas.org"], &["nas.org"]).unwrap().listed);
}

proptest! {
    /// Whatever the text: a URL that is let through leads to the host that was granted.
    #[test]
    fn no_url_leads_to_another_host(
        before in "[a-zA-Z0-9.@:/\\\\\\\\?#%\\[\\] \t\n_~é。\u{200b}-]{0,12}",
        middle in "(example\\.org|EXAMPLE.org|ex%61mple.org|example。org|example.org:443)",
        after in "[a-zA-Z0-9.@:/\\\\\\\\?#%\\[\\] \t\n_~é。\u{200b}-]{0,12}",
        scheme in "(https?:/{0,3}|//|ftp://|file:///|)",
    ) {
        let text = format!("{scheme}{before}{middle}{after}");
        let request = crate::protocol::plugins::HttpRequest {
            method: "GET".into(), url: text.clone(), headers: Vec::new(), body: None, credential: None,
        };
        if let Ok((hop, url)) = super::super::rules::first(request, None) {
            let granted = grants::Http { hosts: vec!["example.org".into()], methods: vec!["GET".into()] };
            if let Ok(place) = Place::of(&url, "GET", &granted, &[]) {
                prop_assert_eq!(&place.target, &Host::Domain("example.org".to_owned()), "{}", text);
                prop_assert_eq!(place.port, if url.scheme() == "https" { 443 } else { 80 });
                prop_assert_eq!(Url::parse(&hop.url).unwrap(), url);
            }
        }
    }

    #[test]
    fn any_number_for_an_address_is_judged_as_that_address(bits: u32) {
        let address = Ipv4Addr::from(bits);
        for host in [format!("{bits}"), format!("{bits:#x}"), format!("0{bits:o}"), format!("[::ffff:{address}]")] {
            let open = verdict(&format!("http://{host}/")).is_ok();
            prop_assert_eq!(open, judge(IpAddr::V4(address)) == Public, "{}", host);
        }
    }
}
