import CulvertSSH
import Foundation
import TestSupport
import Testing

/// Records the transcripts at real servers, for `make transcripts`: CULVERT_RECORD names a Python with AsyncSSH, which
/// stands in for OpenSSH where that lacks ML-KEM.
@Suite(.serialized) struct TranscriptRecorder {
    private static let python = ProcessInfo.processInfo.environment["CULVERT_RECORD"]

    @Test(.enabled(if: python != nil), arguments: TranscriptTests.combinations)
    func record(_ method: String, _ cipher: String) throws {
        let directory = try makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let keys = directory + "/authorized_keys"
        try (TranscriptPlayer.authorizedKey + "\n").write(toFile: keys, atomically: true, encoding: .utf8)
        var settings = Transcript.Settings()
        settings.method = method
        settings.cipher = cipher
        settings.seed = UInt64(TranscriptTests.names.firstIndex(of: TranscriptTests.name(method, cipher)) ?? 0) + 1
        let transcript: Transcript
        if method.hasPrefix("mlkem") {
            settings.user = "user"
            let (listener, port) = try Socket.listen()
            listener.close()
            let script = TranscriptTests.directory.deletingLastPathComponent()
                .appendingPathComponent("Transcripts/asyncssh_server.py").path
            let server = try Child(
                try #require(Self.python), [script, String(port), directory, keys], log: directory + "/log")
            defer { server.kill() }
            transcript = try connect(settings, port)
        } else {
            settings.user = NSUserName()
            let server = try TestServer("AuthorizedKeysFile \(keys)\nKexAlgorithms \(method)")
            transcript = try withExtendedLifetime(server) { try connect(settings, server.port) }
        }
        let file = TranscriptTests.directory.appendingPathComponent(TranscriptTests.name(method, cipher))
        try transcript.text.write(to: file, atomically: true, encoding: .utf8)
    }

    private func connect(_ settings: Transcript.Settings, _ port: UInt16) throws -> Transcript {
        let deadline = Date().addingTimeInterval(60)
        while true {
            if let socket = try? Socket.connect(port) {
                let recording = try Recording(settings, socket)
                defer { socket.close() }
                return try recording.run()
            }
            guard Date() < deadline else { throw Failed("nobody listens") }
            usleep(20_000)
        }
    }
}

/// One connection while it is recorded.
private final class Recording {
    private let socket: Socket
    private let player: TranscriptPlayer
    private var transcript = Transcript()
    private var events: [String] = []
    private var written = 0

    init(_ settings: Transcript.Settings, _ socket: Socket) throws {
        self.socket = socket
        player = try TranscriptPlayer(settings)
        transcript.settings = settings
    }

    private func perform(_ step: Transcript.Step) throws {
        let result = try player.perform(step)
        transcript.steps.append((step, result))
        events += result.events
        while written < player.said.count {
            let count = player.said[written...].withUnsafeBytes {
                send(socket.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failed("send: \(errno)") }
            written += count
        }
    }

    /// Hears until something is so.
    private func wait(until isSo: () -> Bool) throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while !isSo() {
            var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, 60_000) == 1 else { throw Failed("nothing comes") }
            let count = read(socket.descriptor, &buffer, buffer.count)
            guard count > 0 else { throw Failed("the server closed") }
            if transcript.settings.server.isEmpty {
                let line = buffer[..<count].prefix { $0 != 10 && $0 != 13 }
                transcript.settings.server = String(decoding: line, as: UTF8.self)
            }
            try perform(.hear(Array(buffer[..<count])))
        }
    }

    func run() throws -> Transcript {
        let echo = try Service.echo()
        try perform(.start)
        try wait { player.isLoggedIn }
        try perform(.open(host: "127.0.0.1", port: echo.port))
        try wait { events.contains("opened 0") }
        try perform(.send(count: 1500))
        try wait { player.received.count == 1500 }
        try perform(.rekey)
        try wait { events.contains("all sendable") }
        try perform(.probe)
        try perform(.send(count: 1500))
        try wait { player.received.count == 3000 }
        try perform(.finish)
        try wait { events.contains { $0.hasPrefix("closed") } }
        try perform(.close)
        try perform(.disconnect)
        transcript.total = player.total
        return transcript
    }
}
