import CulvertPlan
import Foundation
import Testing

@testable import CulvertIdentity
@testable import CulvertSSH

@Suite struct KnownHostsCommandTests {
    let workshop: Workshop
    let key: PublicKey
    let notices = Notices()

    init() throws {
        workshop = try Workshop()
        try workshop.makeKey("one")
        key = try workshop.publicKey("one")
    }

    /// A script of these lines, called with every token.
    private func calling(_ script: String, port: UInt16 = 22) throws -> ServerPlan {
        try workshop.write("command", "#!/bin/sh\n\(script)\n", mode: 0o700)
        var settings = workshop.settings(port: port)
        settings.hostKeys.checking = .yes
        settings.hostKeys.knownHostsCommand = KnownHostsCommand(
            words: [
                [.text(workshop.file("command"))], [.invocation], [.name], [.keyType], [.fingerprint], [.key],
                [.text("a "), .name, .text(" b")],
            ], environment: ["WORKSHOP": workshop.path])
        return settings
    }

    private func identity(_ settings: ServerPlan, _ memory: IdentityMemory = IdentityMemory()) -> Identity {
        Identity(
            server: settings, memory: memory, mayPrompt: false, prompter: ScriptedPrompter(),
            notice: { [notices] in notices.add($0) })
    }

    @Test func itIsAskedForTypesAndForTheKey() throws {
        let line = try workshop.publicLine("one")
        let settings = try calling(
            "printf '%s|' \"$@\" >> \"$WORKSHOP/calls\"; echo >> \"$WORKSHOP/calls\"; echo \"$2 \(line)\"", port: 2222)
        let identity = identity(settings)
        #expect(try identity.knownHostKeyAlgorithms() == ["ssh-ed25519"])
        try identity.verify(hostKey: key.blob)
        let base64 = line.split(separator: " ")[1]
        let name = "[db.example]:2222"
        #expect(
            try workshop.read("calls") == """
                ORDER|\(name)|NONE|NONE|NONE|a \(name) b|
                HOSTNAME|\(name)|ssh-ed25519|\(key.fingerprint)|\(base64)|a \(name) b|

                """)
        #expect(identity.hostKeyKeeper == nil, "ssh learns no keys by one that the command knows")
        #expect(!FileManager.default.fileExists(atPath: workshop.file("known_hosts")))
    }

    @Test func itIsNotAskedForTypesThatAreSettled() throws {
        var settings = try calling("touch \"$WORKSHOP/called\"")
        settings.algorithms.hostKeys = AlgorithmList("ssh-ed25519")
        #expect(try identity(settings).knownHostKeyAlgorithms().isEmpty)
        #expect(!FileManager.default.fileExists(atPath: workshop.file("called")))
    }

    @Test func whatItSaysCountsAsAFileDoes() throws {
        try workshop.makeKey("two")
        let other = try workshop.publicLine("two")
        var error = #expect(throws: SSHError.self) {
            try identity(calling("echo db.example \(other)")).verify(hostKey: key.blob)
        }
        #expect(error?.description.contains("KnownHostsCommand-HOSTNAME:1") == true, "\(error as Any)")
        error = #expect(throws: SSHError.self) {
            let line = try workshop.publicLine("one")
            try identity(calling("echo db.example \(line); echo '@revoked * \(line)'")).verify(hostKey: key.blob)
        }
        #expect(error?.kind == .hostKey)
        error = #expect(throws: SSHError.self) { try identity(calling("true")).verify(hostKey: key.blob) }
        #expect(error?.description.contains("StrictHostKeyChecking=yes") == true)
    }

    @Test("one that fails, is killed or says too much ends the login; one that is not there is told and passed over")
    func failures() throws {
        for (script, words) in [
            ("exit 3", "status 3"), ("kill -9 $$", "signal 9"), ("exec cat /dev/zero", "wrote more than"),
        ] {
            let error = #expect(throws: SSHError.self) {
                try identity(try calling(script)).verify(hostKey: key.blob)
            }
            #expect(error?.kind == .local && error?.description.contains(words) == true, "\(error as Any)")
            #expect(throws: SSHError.self) { try identity(try calling(script)).knownHostKeyAlgorithms() }
        }
        try workshop.write("known_hosts", "db.example \(try workshop.publicLine("one"))\n")
        var settings = try calling("true")
        // It is there, and its lines may be such that revoke.
        try workshop.write("no-program", "#!/bin/sh\n", mode: 0o600)
        for path in [workshop.path, workshop.file("no-program")] {
            settings.hostKeys.knownHostsCommand?.words[0] = [.text(path)]
            #expect(throws: SSHError.self) { try identity(settings).verify(hostKey: key.blob) }
        }
        for path in ["missing", workshop.file("missing")] {
            settings.hostKeys.knownHostsCommand?.words[0] = [.text(path)]
            try identity(settings).verify(hostKey: key.blob)
        }
        #expect(notices.lines.count == 2, "\(notices.text)")
    }

    /// In a process of its own, since nothing is begun after it.
    @Test func noneOutlivesTheProcess() async throws {
        await #expect(processExitsWith: .success) {
            let workshop = try Workshop()
            try workshop.write(
                "stays", "#!/bin/sh\ntrap '' TERM HUP\nsleep 300 &\necho $$ $! > pids.new\nmv pids.new pids\nwait\n",
                mode: 0o700)
            _ = FileManager.default.changeCurrentDirectoryPath(workshop.path)
            let program = LocalProgram(
                path: workshop.file("stays"), arguments: [], environment: ["PATH": "/bin:/usr/bin"], input: .nothing)
            let running = try program.start()
            while !FileManager.default.fileExists(atPath: workshop.file("pids")) { usleep(5000) }
            let pids = try workshop.read("pids").split(whereSeparator: \.isWhitespace).compactMap { pid_t($0) }
            IdentityPrograms.endAll()
            guard LocalProgram.wait(running.process, until: Deadline(seconds: 10)) == SIGKILL, pids.count == 2 else {
                exit(1)
            }
            // The other one is init's to reap.
            while kill(pids[1], 0) == 0,
                !(try String(contentsOfFile: "/proc/\(pids[1])/stat", encoding: .utf8)).contains(") Z ")
            {
                usleep(5000)
            }
            try FileManager.default.removeItem(atPath: workshop.path)
            let again = Result { () throws(LocalProgram.Failure) in try program.start() }
            guard case .failure(let failure) = again, failure.code == ECANCELED else { exit(2) }
            exit(0)
        }
    }
}
