// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is built under the same rules: Swift 6 concurrency, every unsafe use spelled out, every
/// import explicit about its visibility.
let rules: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .strictMemorySafety(),
    .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
let testRules: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")]

/// Overflows that the compiler can see end the program (glibc's checks need an optimised build).
let fortified: [CSetting] = [.define("_FORTIFY_SOURCE", to: "2", .when(configuration: .release))]

let package = Package(
    name: "culvert",
    products: [
        .executable(name: "culvert", targets: ["culvert"]),
        .executable(name: "culvert-load", targets: ["culvert-load"]),
        // For Benchmarks/.
        .library(
            name: "CulvertModules",
            targets: ["CCrypto", "CulvertPlan", "CulvertIO", "CulvertSSH", "CulvertLibSSH2", "CulvertConfig"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        .target(name: "CLinux", cSettings: fortified, linkerSettings: [.linkedLibrary("uring")]),
        .target(name: "CCrypto", cSettings: fortified, linkerSettings: [.linkedLibrary("crypto")]),
        .systemLibrary(name: "CLibSSH2", pkgConfig: "libssh2", providers: [.apt(["libssh2-1-dev"])]),

        .target(name: "CulvertPlan", swiftSettings: rules),
        .target(name: "CulvertIO", dependencies: ["CLinux"], swiftSettings: rules),
        .target(
            name: "CulvertSSH",
            dependencies: ["CCrypto", "CulvertPlan", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: rules),
        .target(name: "CulvertLibSSH2", dependencies: ["CLibSSH2", "CulvertPlan", "CulvertSSH"], swiftSettings: rules),
        .target(
            name: "CulvertIdentity",
            dependencies: ["CulvertPlan", "CulvertSSH", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: rules),
        .target(
            name: "CulvertConfig",
            dependencies: [
                "CulvertPlan",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "TOMLKit", package: "TOMLKit"),
            ], swiftSettings: rules),
        .target(
            name: "CulvertRelay", dependencies: ["CulvertIO", "CulvertPlan", "CulvertSSH", "CulvertLibSSH2"],
            swiftSettings: rules),
        .target(
            name: "CulvertControl",
            dependencies: ["CulvertConfig", "CulvertIO", "CulvertPlan", "CulvertRelay", "CulvertSSH"],
            swiftSettings: rules),
        .executableTarget(
            name: "culvert",
            dependencies: [
                "CulvertConfig", "CulvertControl", "CulvertIO", "CulvertIdentity", "CulvertPlan", "CulvertRelay",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: rules),

        .executableTarget(
            name: "culvert-load",
            dependencies: [
                "CulvertIO", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ], swiftSettings: rules),

        .target(
            name: "Simulation", dependencies: ["CulvertIO"], path: "Tests/Simulation", swiftSettings: testRules),
        .target(
            name: "TestSupport", dependencies: ["CulvertSSH"], path: "Tests/TestSupport", swiftSettings: testRules),
        .testTarget(
            name: "CulvertIOTests", dependencies: ["CulvertIO", "CLinux", "Simulation"], swiftSettings: testRules),
        .testTarget(
            name: "CulvertSSHTests",
            dependencies: [
                "CulvertSSH", "CCrypto", "CulvertPlan", "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            exclude: ["Recorded", "Transcripts/asyncssh_server.py"], swiftSettings: testRules),
        .testTarget(
            name: "CulvertLibSSH2Tests",
            dependencies: [
                "CulvertLibSSH2", "CulvertPlan", "CulvertSSH", "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: testRules),
        .testTarget(
            name: "CulvertIdentityTests",
            dependencies: [
                "CulvertIdentity", "CulvertPlan", "CulvertSSH", .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: testRules),
        .testTarget(
            name: "CulvertConfigTests", dependencies: ["CulvertConfig", "CulvertPlan"],
            exclude: ["Corpus/Tables"], swiftSettings: testRules),
        .testTarget(
            name: "CulvertRelayTests",
            dependencies: ["CulvertIO", "CulvertPlan", "CulvertRelay", "CulvertSSH", "Simulation", "TestSupport"],
            swiftSettings: testRules),
        .testTarget(
            name: "CulvertControlTests",
            dependencies: [
                "CulvertConfig", "CulvertControl", "CulvertIO", "CulvertPlan", "CulvertRelay", "CulvertSSH",
            ],
            swiftSettings: testRules),
        .testTarget(name: "CulvertLoadTests", dependencies: ["culvert-load", "CulvertIO"], swiftSettings: testRules),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "CulvertSSH", "CulvertIdentity", "CulvertConfig", "CulvertPlan", "CulvertRelay", "CulvertControl",
                .product(name: "Crypto", package: "swift-crypto"),
            ], swiftSettings: testRules),
        .testTarget(name: "InteropTests", dependencies: [], exclude: ["Scripts"], swiftSettings: testRules),
        .testTarget(name: "TidyTests", dependencies: [], swiftSettings: testRules),
    ]
)
