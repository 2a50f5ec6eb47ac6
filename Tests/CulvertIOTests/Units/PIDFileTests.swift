import CulvertIO
import Foundation
import Testing

/// The file that has the process's number.
@Suite struct PIDFileTests {
    private let path = FileManager.default.temporaryDirectory.path + "/culvert-pid-\(UUID().uuidString)"

    @Test func itHasTheNumberForAsLongAsItIsHeld() throws {
        try Data("an old and longer number\n".utf8).write(to: URL(fileURLWithPath: path))
        let file = try PIDFile(path)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "\(getpid())\n")
        file.remove()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    /// A second start that fails must not take away what the first one has.
    @Test func asLongAsOneHasItNobodyElseDoes() throws {
        let file = try PIDFile(path)
        let failure = #expect(throws: PIDFile.Failure.self) { _ = try PIDFile(path) }
        #expect(failure?.description == "another culvert that runs has it: \(getpid())")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "\(getpid())\n")
        file.remove()
        try PIDFile(path).remove()
    }

    /// Nobody reads from the pipe, or somebody does: neither is waited for.
    @Test(arguments: [false, true]) func whatIsNoFileIsRefused(_ isRead: Bool) throws {
        defer { unlink(path) }
        try #require(mkfifo(path, 0o600) == 0)
        let reader = isRead ? open(path, O_RDONLY | O_NONBLOCK) : -1
        defer { if reader >= 0 { close(reader) } }
        let failure = #expect(throws: PIDFile.Failure.self) { _ = try PIDFile(path) }
        #expect(failure?.description == "it is no file")
    }

    @Test func aLinkIsRefused() throws {
        defer { unlink(path) }
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: path + ".target")
        let failure = #expect(throws: PIDFile.Failure.self) { _ = try PIDFile(path) }
        #expect(failure?.description == "it is a symbolic link")
        #expect(!FileManager.default.fileExists(atPath: path + ".target"))
    }
}
