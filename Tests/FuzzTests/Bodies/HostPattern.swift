@testable import CulvertIdentity

/// The same pattern in a line of known_hosts, where letters have no case.
func checkHostPattern(_ name: [UInt8], _ pattern: [UInt8]) {
    func lower(_ bytes: [UInt8]) -> [UInt8] { bytes.map { (0x41...0x5a).contains($0) ? $0 + 32 : $0 } }
    let expected = patternMatches(lower(name), lower(pattern), any: UInt8(ascii: "*"), one: UInt8(ascii: "?"))
    promise(HostList.matches(name, pattern: pattern) == expected, "patterns of hosts match as the textbook says")
}
