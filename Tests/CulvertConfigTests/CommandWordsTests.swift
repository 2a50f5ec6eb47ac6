import Testing

@testable import CulvertConfig

/// Words of a command that no shell reads, as argv_split of OpenSSH's misc.c has them.
@Suite struct CommandWordsTests {
    @Test(
        arguments: [
            ("", []), (" \t ", []), ("a", ["a"]), (" a  b\tc ", ["a", "b", "c"]), ("'a b' \"c d\"", ["a b", "c d"]),
            ("a'b'\"c\"d", ["abcd"]), ("a\\ b", ["a b"]), ("'a\\ b'", ["a\\ b"]), ("\\'a\\\"b\\\\c", ["'a\"b\\c"]),
            ("'a\\'b'", ["a'b"]), ("\"a'b\"", ["a'b"]), ("'a\"b'", ["a\"b"]), ("a\\b", ["a\\b"]), ("''", [""]),
            ("a\\", ["a\\"]), ("'a", nil), ("a \"b", nil), ("a # b", ["a", "#", "b"]),
        ] as [(String, [String]?)])
    func words(_ text: String, _ words: [String]?) {
        #expect(CommandWords.split(text) == words)
    }
}
