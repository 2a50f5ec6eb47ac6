import Testing

@testable import CulvertConfig

@Suite struct SoupTests {
    static let pieces = [
        "-", "--", "-L", "-R", "-o", "-p", "-v", "-q", "-NfL", "-i", "-E", "relay", "h", "1:a:2", "[::1]:1:[::2]:2", "",
        "=", "Port", "Port=1", "IdentityFile=%", "LocalForward=1", "\"", "\\", "%", "${", "~", "[", "]", ":", "::", "/",
        "@", "ssh://", "ssh://[", "ssh://%@h", "--io", "--io=", "--hold", "--hold=-5", "--persist", "--=", "---", "é",
        "\u{0}", "\n", "\u{1}", "-\u{1}", "--io=\u{1}", "🦆", "-h=", "-V", "99999999999999999999", "-4", "*",
    ]

    /// Whatever is typed, the answer is a configuration or one line that says what is wrong.
    @Test func anyWordsGiveAnAnswer() {
        var generator = SeededGenerator(state: 2)
        var wrong = 0
        for _ in 0..<1000 {
            let line = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
                (0..<Int.random(in: 1...2, using: &generator)).map { _ in
                    Self.pieces.randomElement(using: &generator) ?? ""
                }.joined()
            }
            guard let message = fault(line) else { continue }
            wrong += 1
            let isOneLine =
                !message.isEmpty
                && message.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
            #expect(isOneLine, "\(line)")
            for foreign in ["Error:", "Usage", "--io <io>", "Missing", "Unexpected", "is invalid for"] {
                #expect(!message.contains(foreign), "\(line): \(message)")
            }
        }
        #expect(wrong > 500)
    }

    @Test(arguments: [
        (["--io", "--"], "--io --: give auto, uring or epoll"),
        (["--io", "--persist"], "--io --persist: give auto, uring or epoll"),
        (["--io="], "--io : give auto, uring or epoll"), (["--io", ""], "--io : give auto, uring or epoll"),
        (["--io=a=b"], "--io a=b: give auto, uring or epoll"),
        (["--io", "\u{1}"], "--io \\u{1}: give auto, uring or epoll"),
        (["--="], "--: unknown option"),
    ]) func oddValuesOfLongOptions(_ words: [String], _ message: String) {
        #expect(fault(words + ["-L1:a:2", "h"]) == message)
    }
}
