import CulvertSSH
import Testing

@Suite struct TextTests {
    @Test func controlCharactersAreShownNotObeyed() {
        let text = PeerText("a\u{1b}[2J\r\n\u{7f}\u{9b}b").description
        #expect(text == "a\\u{1b}[2J\\u{d}\\u{a}\\u{7f}\\u{9b}b")
        // Right-to-left override, zero-width space, line separator, a private character.
        #expect(PeerText("\u{202e}\u{200b}\u{2028}\u{e000}").description == "\\u{202e}\\u{200b}\\u{2028}\\u{e000}")
        #expect(PeerText("grün 漢字 🙂").description == "grün 漢字 🙂")
    }

    @Test func everyControlCharacterIsEscaped() {
        for value in Array(0...0x1f) + Array(0x7f...0x9f) as [UInt32] {
            let text = PeerText(String(Unicode.Scalar(value)!)).description
            #expect(text == "\\u{\(String(value, radix: 16))}")
        }
    }

    @Test func longTextsAreCut() {
        #expect(PeerText(String(repeating: "x", count: 400)).description.count == 400)
        let cut = PeerText([UInt8](repeating: 0x78, count: 256 * 1024)).description
        #expect(cut == String(repeating: "x", count: 400) + "…")
        #expect(PeerText(Array(String(repeating: "🙂", count: 401).utf8)).description.last == "…")
        // What is spelled out counts as it is shown.
        #expect(
            PeerText(String(repeating: "\u{1}", count: 400)).description == String(repeating: "\\u{1}", count: 80) + "…"
        )
    }

    /// Everything that leaves is safe, whole, and what is safe is left as it is.
    @Test func aLineIsEscapedAndNotCut() {
        let long = String(repeating: "ü…x", count: 1000)
        #expect(SafeLine.escaped(long) == long)
        #expect(
            SafeLine.escaped("a\u{1b}[2J\nb\r\u{9b}\u{202e}\u{2066}\u{200b}\u{2028}\t" + long)
                == "a\\u{1b}[2J\nb\\u{d}\\u{9b}\\u{202e}\\u{2066}\\u{200b}\\u{2028}\\u{9}" + long)
        // Twice is once.
        let once = SafeLine.escaped("\u{7}\\u{7}")
        #expect(SafeLine.escaped(once) == once)
    }

    @Test func linesOfAPeer() {
        #expect(PeerLines("a\r\n\n b\u{1b}\n\n\n").lines.map(\.description) == ["a", "", " b\\u{1b}"])
        #expect(PeerLines("").lines.isEmpty && PeerLines("\n\n").lines.isEmpty)
        #expect(PeerLines("x: ").description == "x: ")
        let many = PeerLines(String(repeating: "y\n", count: 1000)).lines
        #expect(many.count == PeerLines.maximumLines + 1 && many.last?.description == "(1900 bytes more are not shown)")
    }

    @Test func bytesThatAreNoTextAreReplaced() {
        #expect(PeerText([0x61, 0xff, 0xc0, 0x62]).description == "a\u{fffd}\u{fffd}b")
        // A character cut by the limit of bytes.
        let text = PeerText([UInt8](repeating: 0xf0, count: 5000)).description
        #expect(text.unicodeScalars.allSatisfy { $0 == "\u{fffd}" || $0 == "…" } && text.count == 401)
    }

    @Test func aSecretHoldsItsBytesAndSaysNothing() {
        var bytes: [UInt8] = Array("hunter2".utf8)
        let secret = Secret(wiping: &bytes)
        #expect(bytes == [UInt8](repeating: 0, count: 7))
        #expect(secret.count == 7)
        #expect(secret.withBytes { Array($0) } == Array("hunter2".utf8))
        #expect("\(secret)" == "Secret(…)" && String(describing: [secret]) == "[Secret(…)]")
        #expect(!String(reflecting: secret).contains("hunter2"))
    }

    @Test(arguments: [0, 1, 4095, 4096, 4097, 10000])
    func aSecretOfAnyLengthComesBack(_ length: Int) {
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let secret = bytes.withUnsafeBytes { Secret(copying: $0) }
        #expect(secret.count == length && secret.withBytes { Array($0) } == bytes)
    }
}
