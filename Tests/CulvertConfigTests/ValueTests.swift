import CulvertPlan
import Testing

@testable import CulvertConfig

@Suite struct ValueTests {
    static let times: [(String, Int?)] = [
        ("0", 0), ("10", 10), ("1m30s", 90), ("1M30S", 90), ("2h", 7200), ("1d", 86400), ("1w2d", 777_600),
        ("1m30", 90),
        ("2147483647", 2_147_483_647), ("2147483648", nil), ("99999999999999999999", nil), ("4000w", nil), ("", nil),
        ("-1", nil), ("s", nil), ("5x", nil), ("1 m", nil), ("1.5", nil), ("1mm", nil), ("2147483647s1s", nil),
    ]
    @Test(arguments: times) func time(_ text: String, _ seconds: Int?) { #expect(TimeValue.seconds(text) == seconds) }

    static let sizes: [(String, Int?)] = [
        ("1", 1), ("4k", 4096), ("256M", 256 << 20), ("1G", 1 << 30), ("1g", 1 << 30), ("", nil), ("M", nil),
        ("-1M", nil), ("1.5G", 1_610_612_736), ("1MB", nil), ("1.", nil), (".5G", nil),
        ("0.999999999999999999E", 1_152_921_504_606_846_974), ("+2k", 2048), ("17B", 17), ("1t", 1 << 40), ("8E", nil),
        ("7.9E", 9_108_079_886_394_091_110), ("9223372036854775807", .max), ("9223372036854775807K", nil),
    ]
    @Test(arguments: sizes) func size(_ text: String, _ bytes: Int?) { #expect(SizeValue.bytes(text) == bytes) }

    @Test func portsAreNumbersOrServices() {
        func service(_ name: String) -> UInt16? { name == "postgresql" ? 5432 : nil }
        #expect(PortNumber.parse("65535", service: service) == 65535)
        #expect(PortNumber.parse("0022", service: service) == 22 && PortNumber.parse("+22", service: service) == 22)
        #expect(PortNumber.parse("postgresql", service: service) == 5432)
        for text in ["", "65536", "-1", "+-1", "++1", "+", "1a", "nothing", " 1", "٣"] {
            #expect(PortNumber.parse(text, service: service) == nil, "\(text)")
        }
        #expect(PortNumber.systemService("no-such-service") == nil)
    }

    static let splits: [(String, [String]?)] = [
        ("a", ["a"]), ("a b\tc", ["a", "b", "c"]), (" a ", ["a"]), ("\"a b\" c", ["a b", "c"]), ("'a b'c", ["a bc"]),
        ("\"\"", [""]), ("", []), (#"a\ b"#, ["a b"]), (#"\"a"#, ["\"a"]), (#"a\b"#, [#"a\b"#]), ("a #b", ["a"]),
        ("a#b", ["a#b"]), ("\"a", nil), ("'a\"", nil), (#""a\"b""#, ["a\"b"]),
    ]
    @Test(arguments: splits) func words(_ text: String, _ words: [String]?) {
        #expect(SettingWords.split(text.utf8) == words)
    }

    static let patterns: [(String, String, Bool)] = [
        ("abc", "abc", true), ("abc", "a*", true), ("abc", "*c", true), ("abc", "a?c", true), ("abc", "a?", false),
        ("abc", "*", true), ("", "*", true), ("", "?", false), ("aXbXc", "a*b*c", true), ("aab", "*ab", true),
        ("abab", "*abc", false), ("abc", "", false), ("é", "?", false), ("é", "??", true),
    ]
    @Test(arguments: patterns) func wildcard(_ text: String, _ pattern: String, _ expected: Bool) {
        #expect(Wildcard.matches(text, pattern: pattern) == expected)
    }

    @Test func nearestNames() {
        #expect(NearestName.of("prot", among: ["User", "Port"]) == "Port")
        #expect(NearestName.of("x", among: [String]()) == nil)
    }

    @Test func theRealEnvironmentIsRead() {
        let environment = ConfigurationEnvironment.current()
        #expect(environment.homeDirectory.hasPrefix("/"))
        #expect(environment.variables["PATH"]?.isEmpty == false)
        #expect(!environment.hostName.isEmpty)
    }
}
