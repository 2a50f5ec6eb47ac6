import Testing

@testable import CulvertConfig

@Suite struct NormaliserTests {
    static let table: [(String, [CommandWord])] = [
        ("-NfL1:a:2 h", [.short("N", nil), .short("f", nil), .short("L", "1:a:2"), .operand("h")]),
        ("-NfL 1:a:2 h", [.short("N", nil), .short("f", nil), .short("L", "1:a:2"), .operand("h")]),
        ("-vvNp22 h", [.short("v", nil), .short("v", nil), .short("N", nil), .short("p", "22"), .operand("h")]),
        ("-oKey=Value h", [.short("o", "Key=Value"), .operand("h")]),
        ("-4vvvN", [.short("4", nil), .short("v", nil), .short("v", nil), .short("v", nil), .short("N", nil)]),
        ("-L1:a:2 -- h", [.short("L", "1:a:2"), .operand("h")]),
        ("-L -N h", [.short("L", "-N"), .operand("h")]),
        ("-p -- h", [.short("p", "--"), .operand("h")]),
        ("h -p 22", [.operand("h"), .short("p", "22")]),
        ("h -p 22 --", [.operand("h"), .short("p", "22")]),
        ("h -v ls -v", [.operand("h"), .short("v", nil), .command(["ls", "-v"])]),
        ("h -- ls -v", [.operand("h"), .command(["ls", "-v"])]),
        ("-- h -p 33", [.operand("h"), .command(["-p", "33"])]),
        ("-- -h", [.operand("-h")]), ("-", [.operand("-")]), ("--", []),
        ("--io epoll h", [.long("--io", "epoll"), .operand("h")]),
        ("--io=epoll h", [.long("--io", "epoll"), .operand("h")]),
        ("--persist h", [.long("--persist", nil), .operand("h")]),
        ("--unknown h", [.long("--unknown", nil), .operand("h")]),
        (
            "-S none -e none -w 0:0 -I x -Q key h",
            [
                .short("S", "none"), .short("e", "none"), .short("w", "0:0"), .short("I", "x"), .short("Q", "key"),
                .operand("h"),
            ]
        ),
    ]

    @Test(arguments: table) func takesApart(_ line: String, _ words: [CommandWord]) throws {
        #expect(try ShortOptionNormaliser.normalise(line.split(separator: " ").map(String.init)) == words)
    }

    @Test func emptyValuesAreValues() throws {
        #expect(try ShortOptionNormaliser.normalise(["-o", "", "--io", ""]) == [.short("o", ""), .long("--io", "")])
    }

    static let bad: [(String, String)] = [
        ("-Z h", "-Z: unknown option: did you mean -C?"), ("-vr h", "-r (in -vr): unknown option: did you mean -R?"),
        ("-d h", "-d: unknown option: did you mean -D?"), ("-u ann h", "-u: unknown option: did you mean -l?"),
        ("-H", "-H: unknown option: did you mean -h?"), ("-3 h", "-3: unknown option: did you mean -4?"),
        ("-é h", "-é: unknown option"), ("-vL", "-L needs a value"), ("h -p", "-p needs a value"),
        ("--io", "--io needs a value"), ("-persist h", "-persist: unknown option: did you mean --persist?"),
        ("-version", "-version: unknown option: did you mean --version?"),
    ]

    @Test(arguments: bad) func refusesWithOneLine(_ line: String, _ message: String) {
        #expect(fault(line.split(separator: " ").map(String.init)) == message)
    }

    /// ssh(1)'s own synopsis: no letter may be missing, and each takes a value exactly when ssh's does.
    @Test func everyLetterOfSSHIsKnown() {
        for letter in "46AaCfGgKkMNnqsTtVvXxYy" { #expect(ShortOptionTable.options[letter]?.takesValue == false) }
        for letter in "BbcDEeFIiJLlmOopQRSWwP" { #expect(ShortOptionTable.options[letter]?.takesValue == true) }
    }

    /// Every cut of a line into clusters means the same.
    @Test func clusteringNeverChangesTheWords() throws {
        var generator = SeededGenerator(state: 20)
        let flags = Array("NTnvq46gCfyAakKMsStxXY").filter { $0 != "S" }
        let valued = Array("LRpbcmEilo")
        for _ in 0..<500 {
            var words: [CommandWord] = []
            var line: [String] = []
            var cluster = "-"
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                if Bool.random(using: &generator), let flag = flags.randomElement(using: &generator) {
                    words.append(.short(flag, nil))
                    cluster.append(flag)
                    if Bool.random(using: &generator) { flush() }
                } else if let letter = valued.randomElement(using: &generator) {
                    let value = ["1:a:2", "x=y", "-v", "22"].randomElement(using: &generator) ?? ""
                    words.append(.short(letter, value))
                    cluster.append(letter)
                    if Bool.random(using: &generator) {
                        cluster += value
                        flush()
                    } else {
                        flush()
                        line.append(value)
                    }
                }
            }
            flush()
            #expect(try ShortOptionNormaliser.normalise(line) == words, "\(line)")

            func flush() {
                if cluster != "-" { line.append(cluster) }
                cluster = "-"
            }
        }
    }
}

/// SplitMix64: the same walk on every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
