import CulvertPlan
import Foundation

@testable import CulvertConfig

/// A configuration file and a command line that are read by ssh and by culvert.
struct CorpusCase: Sendable {
    let name: String
    /// The file of `-F`; `@/` stands for the directory that it and `more` are in.
    let file: String
    /// The command line behind `-F`, parted by blanks; `_` in a word stands for a blank.
    let words: [String]
    /// Files to include, by name.
    let more: [String: String]

    init(_ name: String, _ file: String, _ line: String = "host", more: [String: String] = [:]) {
        self.name = name
        self.file = file
        words = line.split(separator: " ").map { $0.replacingOccurrences(of: "_", with: " ") }
        self.more = more
    }

    /// The words as they are.
    init(_ name: String, file: String, words: [String], more: [String: String]) {
        (self.name, self.file, self.words, self.more) = (name, file, words, more)
    }

    func arguments(in directory: String) -> [String] {
        ["-G", "-F", "\(directory)/config"] + words.map { $0.replacingOccurrences(of: "@/", with: directory + "/") }
    }

    /// The directory, which belongs to nobody else.
    func write(to directory: String) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for (name, text) in [("config", file)] + more.map({ ($0.key, $0.value) }) {
            let path = "\(directory)/\(name)"
            let whole = text.replacingOccurrences(of: "@/", with: directory + "/")
            try Data(whole.utf8).write(to: URL(fileURLWithPath: path))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        }
    }
}

/// What one of the two made of a case.
struct CorpusAnswer: Sendable {
    /// nil: refused.
    let lines: [String]?
    /// Why.
    let reason: String

    /// The values of a key, a line each.
    var values: [String: [String]] {
        var values: [String: [String]] = [:]
        for line in lines ?? [] {
            let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            values[parts[0], default: []].append(parts.count > 1 ? parts[1] : "")
        }
        return values
    }

    /// Each key once, in the order of printing.
    var keys: [String] {
        var seen: Set<String> = []
        return (lines ?? []).map { String($0.prefix { $0 != " " }) }.filter { seen.insert($0).inserted }
    }
}

/// What the two say otherwise of one key, or of the whole.
struct CorpusDifference: Sendable {
    let kind: AllowedDifference.Kind
    var ssh: [String] = []
    var culvert: [String] = []
    let words: String
}

/// Runs the cases in a directory of their own.
struct Corpus {
    let directory: String
    let environment: ConfigurationEnvironment

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/culvert-corpus-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        var environment = ConfigurationEnvironment.current()
        environment.variables["CORPUS"] = "from-the-environment"
        environment.variables["SHELL"] = "/bin/sh"
        environment.variables["HOME"] = nil
        // Where ssh looks, whatever HOME says.
        environment.homeDirectory = NSHomeDirectoryForUser(environment.userName) ?? "/"
        self.environment = environment
    }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }

    func place(_ index: Int) -> String { "\(directory)/\(index)" }

    /// Has ssh answer all, from one shell: a process of Foundation's for each would take most of the time.
    func startSSH(_ cases: [CorpusCase]) throws -> Process {
        var script = ""
        for (index, each) in cases.enumerated() {
            try each.write(to: place(index))
            let words = each.arguments(in: place(index)).map {
                "'" + $0.replacingOccurrences(of: "'", with: #"'\''"#) + "'"
            }
            script += "ssh \(words.joined(separator: " ")) >\(place(index))/out 2>\(place(index))/err"
            script += " && touch \(place(index))/accepted\n"
        }
        let path = "\(directory)/script"
        try Data(script.utf8).write(to: URL(fileURLWithPath: path))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [path]
        var variables = ProcessInfo.processInfo.environment
        for name in ["CORPUS", "SHELL"] { variables[name] = environment.variables[name] }
        process.environment = variables
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return process
    }

    func answers(of process: Process, _ cases: [CorpusCase]) throws -> [CorpusAnswer] {
        process.waitUntilExit()
        return try cases.indices.map { index in
            let said = try String(contentsOfFile: "\(place(index))/out", encoding: .utf8)
            let isAccepted = FileManager.default.fileExists(atPath: "\(place(index))/accepted")
            return CorpusAnswer(
                lines: isAccepted ? said.split(separator: "\n").map(String.init) : nil,
                reason: (try? String(contentsOfFile: "\(place(index))/err", encoding: .utf8)) ?? "")
        }
    }

    func askCulvert(_ each: CorpusCase, at index: Int) -> CorpusAnswer {
        do throws(ConfigurationError) {
            var access = ConfigurationAccess.system
            access.algorithms = Self.engine
            let invocation = try parseCommandLine(
                each.arguments(in: place(index)), environment: environment, access: access)
            guard case .show(let text) = invocation else { return CorpusAnswer(lines: nil, reason: "not printed") }
            return CorpusAnswer(lines: text.split(separator: "\n").map(String.init), reason: "")
        } catch {
            return CorpusAnswer(lines: nil, reason: error.message)
        }
    }

    static let engineNames: Set<String> = {
        let all = Self.engine(.native)
        return Set(all.ciphers + all.macs + all.keyExchanges + all.hostKeys + all.publicKeys)
    }()

    /// Such as an engine has: some of what ssh has, in another order.
    @Sendable private static func engine(_ choice: EngineChoice) -> EngineAlgorithms {
        var algorithms = EngineAlgorithms()
        algorithms.ciphers = ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
        algorithms.macs = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512"]
        algorithms.keyExchanges = ["mlkem768x25519-sha256", "curve25519-sha256"]
        algorithms.hostKeys = ["ssh-ed25519", "rsa-sha2-512"]
        algorithms.publicKeys = DefaultAlgorithms.signatures.split(separator: ",").map(String.init)
        return algorithms
    }
}
