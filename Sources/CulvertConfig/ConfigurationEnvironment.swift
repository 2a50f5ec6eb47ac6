internal import Glibc

/// What the configuration takes from around the process, as a value: tests give their own.
public struct ConfigurationEnvironment: Hashable, Sendable {
    public var variables: [String: String]
    /// That of the password database, as ssh has it; HOME where that does not know the user; CULVERT_HOME before both.
    public var homeDirectory: String
    /// The local user, who is the remote one by default.
    public var userName: String
    public var userID: UInt32
    public var hostName: String
    public var homeDirectories: HomeDirectories

    public init(
        variables: [String: String], homeDirectory: String, userName: String, userID: UInt32, hostName: String,
        homeDirectories: HomeDirectories = .listed([:])
    ) {
        self.variables = variables
        self.homeDirectory = homeDirectory
        self.userName = userName
        self.userID = userID
        self.hostName = hostName
        self.homeDirectories = homeDirectories
    }

    /// Asks the system. For the start of the process: nothing may set environment variables meanwhile.
    public static func current() -> ConfigurationEnvironment {
        let variables = systemVariables()
        let user = getuid()
        var home = variables["CULVERT_HOME"] ?? ""
        var name = variables["USER"] ?? ""
        if let entry = passwordEntry(of: user) {
            name = entry.name
            if !home.hasPrefix("/") { home = entry.home }
        }
        if !home.hasPrefix("/") { home = variables["HOME"] ?? "" }
        if !home.hasPrefix("/") { home = "/" }
        return ConfigurationEnvironment(
            variables: variables, homeDirectory: home, userName: name, userID: user,
            hostName: systemHostName(), homeDirectories: .system)
    }

    /// nil: the password database does not know the user, as often in containers.
    private static func passwordEntry(of user: uid_t) -> (name: String, home: String)? {
        // An entry is a line; a directory service with a longer one than this is taken for silent.
        var text = [CChar](repeating: 0, count: 65536)
        return unsafe text.withUnsafeMutableBufferPointer { buffer in
            var entry = unsafe passwd()
            var found: UnsafeMutablePointer<passwd>?
            guard let base = buffer.baseAddress,
                unsafe getpwuid_r(user, &entry, base, buffer.count, &found) == 0, unsafe found != nil,
                let name = unsafe entry.pw_name, let home = unsafe entry.pw_dir
            else { return nil }
            return unsafe (String(cString: name), String(cString: home))
        }
    }

    private static func systemVariables() -> [String: String] {
        var variables: [String: String] = [:]
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            let text = unsafe String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            unsafe next += 1
        }
        return variables
    }

    private static func systemHostName() -> String {
        // HOST_NAME_MAX is 64 on Linux (gethostname(2)); one more byte stays zero.
        var bytes = [CChar](repeating: 0, count: 66)
        guard unsafe gethostname(&bytes, bytes.count - 1) == 0 else { return "" }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
