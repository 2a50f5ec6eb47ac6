import Testing

@testable import CulvertConfig

/// What stands behind the destination, and tunnels without a forward.
@Suite struct TunnelUseTests {
    static let commands: [(String, RemoteCommand)] = [
        ("sleep 10", .sleep(.seconds(10))), ("exec sleep 1m 30s", .sleep(.seconds(90))), ("sleep 0", .sleep(.zero)),
        ("/bin/sleep .5", .sleep(.milliseconds(500))), ("sleep 2h", .sleep(.seconds(7200))),
        ("sleep infinity", .sleepForever), ("sleep inf", .sleepForever), ("sleep 99999d", .sleepForever),
        ("sleep", .other), ("sleep x", .other), ("sleep 10;", .other), ("sleep 10 && ls", .other), ("sleep -1", .other),
        ("sleep 0x10", .other), ("sleep 1e3", .other), ("sleep nan", .other), ("sleep s", .other), ("ls", .other),
        ("sleep 1.2.3", .other), ("sleep $N", .other),
    ]

    @Test(arguments: commands) func sleepIsUnderstood(_ text: String, _ expected: RemoteCommand) {
        #expect(RemoteCommand([text]) == expected)
        #expect(RemoteCommand(text.split(separator: " ").map(String.init)) == expected)
    }

    @Test func theIdiomIsMeant() throws {
        let idiom = try tunnel(["-f", "-L", "1:a:2", "h", "sleep", "10"])
        #expect(idiom.process.background == .standing && idiom.plan.stay == .seconds(10) && idiom.notes.isEmpty)
        #expect(try tunnel(["-L1:a:2", "h", "--", "sleep 1m"]).plan.stay == .seconds(60))
        #expect(try tunnel(["-L1:a:2", "h"]).plan.stay == nil)
        #expect(try tunnel(["-L1:a:2", "h", "sleep", "infinity"]).plan.stay == nil)
        // ssh runs no command with -N, and stays.
        let alone = try tunnel(["-NL1:a:2", "h", "sleep", "10"])
        #expect(alone.plan.stay == nil && alone.notes == ["'sleep 10' after h is not run, as with ssh -N"])
        #expect(try tunnel(["-NL1:a:2", "h", "ls"]).notes == ["'ls' after h is not run, as with ssh -N"])
        #expect(try tunnel(["-W", "a:1", "h", "sleep", "1"]).plan.stay == nil)
    }

    @Test(arguments: [
        ["-N", "h"], ["-fN", "h"], ["-oClearAllForwardings=yes", "h"], ["-L1:a:2", "-oClearAllForwardings=yes", "h"],
        ["-oSessionType=none", "h"], ["h", "sleep", "5"],
    ])
    func itStaysConnectedWithoutAForward(_ line: [String]) throws {
        let tunnel = try tunnel(line)
        #expect(tunnel.forwards.isEmpty && tunnel.plan.forwards.isEmpty && tunnel.plan.reverse.isEmpty)
    }

    @Test func whatIsClearedIsTold() throws {
        let cleared = try tunnel(["-L1:a:2", "-R3", "-oClearAllForwardings=yes", "h"])
        #expect(
            cleared.notes == [
                "-L 1:a:2 is left out: ClearAllForwardings yes", "-R 3 is left out: ClearAllForwardings yes",
            ])
    }
}
